//! A processor with a bug on one key, and the whole graph with it.

use std::sync::Arc;

use tributary_account::AccountProcessor;
use tributary_cli::wiring;
use tributary_flow::processor::{In, Out, Refusal};
use tributary_flow::{Cx, Effects, Event, Identity, Processor, ProcessorTask, Setup, State, Task};
use tributary_graph::account::{self, NODE};

/// The account on whose legs it panics.
pub const KEY: &str = "mallory";

/// What it says.
pub const SAID: &str = "poisoned";

/// The accounts' guard, with a bug.
struct Poisoned(AccountProcessor);

impl Processor for Poisoned {
    type Ports = account::Ports;
    type Head = <AccountProcessor as Processor>::Head;
    type Timer = <AccountProcessor as Processor>::Timer;

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Self::Head>,
        event: Event<In<'_, Self>, Self::Timer>,
    ) -> Effects<Out<Self>, Self::Timer> {
        let leg = matches!(event, Event::Input(account::In::Leg(_)));
        assert!(key != KEY || !leg, "{SAID}");
        self.0.step(cx, key, state, event)
    }

    fn refuse(&self, command: In<'_, Self>, refusal: &Refusal) -> Option<Out<Self>> {
        self.0.refuse(command, refusal)
    }

    fn identity(&self, command: In<'_, Self>) -> Identity {
        self.0.identity(command)
    }

    fn rules(&self) -> [u8; 32] {
        self.0.rules()
    }
}

/// The tasks of a partition, with the bug or without.
pub fn tasks(partition: u32, setup: &Setup, mended: bool) -> Vec<Box<dyn Task>> {
    let mut tasks = wiring::tasks(partition, setup, &|node| mended || node.name != NODE.name);
    if !mended {
        tasks.push(Box::new(ProcessorTask::new(Arc::new(Poisoned(AccountProcessor)), partition, setup.clone())));
    }
    tasks
}
