//! A record that is handed over in memory is read as its bytes are.

mod toy;

use toy::world::{Play as _, World};
use toy::{COMMANDS, MIRRORED, command, input, tasks};
use tributary_flow::framing::unframe;
use tributary_flow::task::Stop;
use tributary_flow::{Around, Engine, InMemory, Input, Produced, Store, Target, Task};

/// A task of a build that writes with another version of a schema, in which a sum of 5 is one of 6.
struct Other(Box<dyn Task>);

impl Around for Other {
    fn inner(&self) -> &dyn Task {
        self.0.as_ref()
    }

    fn inner_mut(&mut self) -> &mut dyn Task {
        self.0.as_mut()
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        let from = out.len();
        self.0.apply(store, port, input, memory, out)?;
        for record in &mut out[from..] {
            assert!(record.memory.is_some(), "a writer keeps what it has written");
            let value = record.value.take().expect("a value");
            let (_, datum) = unframe(&value).expect("framed");
            let datum = String::from_utf8_lossy(datum).replace("|5", "|6");
            record.value = Some([&[0, 0, 0, 0, 2], datum.as_bytes()].concat());
        }
        Ok(())
    }
}

/// What the mirror says, within an epoch, of a counter that is told 5.
fn mirrored(mut engine: Engine) -> String {
    let commit =
        World::new(1).epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("k"), Some(command("a", "k", 5)))], true);
    let said = commit.records.iter().filter(|record| record.target == Target::Topic(&MIRRORED));
    let said = said.map(|record| String::from_utf8_lossy(record.value.as_deref().expect("a value")).into_owned());
    let said: Vec<_> = said.collect();
    assert!(commit.records.iter().all(|record| record.memory.is_none()), "no commit holds what was handed over");
    assert_eq!(said.len(), 1, "{said:?}");
    said[0].rsplit('|').next().expect("a last part").to_owned()
}

#[test]
fn what_bears_the_id_of_another_schema_is_read_from_its_bytes() {
    assert_eq!(mirrored(Engine::new(tasks(1))), "5");
    let other = |task: Box<dyn Task>| match task.node().name {
        "counter" => Box::new(Other(task)) as Box<dyn Task>,
        _ => task,
    };
    assert_eq!(mirrored(Engine::new(tasks(1).into_iter().map(other).collect())), "6");
}
