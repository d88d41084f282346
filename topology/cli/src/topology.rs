//! `topology`: the graph as text, and a cluster compared with it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use tributary_broker::admin;
use tributary_graph as graph;

use crate::config::Config;
use crate::kafka;
use crate::out::{self, say};
use crate::wiring::APPLICATION;

/// What to do with the graph.
#[derive(Subcommand, Debug)]
pub enum TopologyCommand {
    /// Print nodes and topics.
    Show {
        /// As AsyncAPI 3.0, in JSON.
        #[arg(long)]
        asyncapi: bool,
    },
    /// Compare a cluster's topics with the graph; exit 1 where they differ.
    Diff {
        /// Replicas that each topic must have.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        replication: u32,
    },
    /// Create the topics that are missing. Never changes one that is there: a partition count is the only modulus of
    /// every key.
    Apply {
        /// Replicas of each topic that is created; with one, a lost disk is a lost log.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        replication: u32,
    },
    /// Print the command lines that give clients, admins and processes the rights they need, and no more.
    Acl,
}

/// Does it.
pub fn run(config: &Config, command: &TopologyCommand) -> Result<ExitCode> {
    match command {
        TopologyCommand::Show { asyncapi: false } => out::print(graph::describe::topology()),
        TopologyCommand::Show { asyncapi: true } => say!("{:#}", graph::asyncapi::asyncapi()),
        TopologyCommand::Acl => graph::acl::acls(APPLICATION).iter().for_each(|acl| say!("{acl}")),
        TopologyCommand::Apply { replication } => {
            let created = kafka::apply(config, *replication)?;
            say!("{created} topics created");
            return diff(config, *replication);
        }
        TopologyCommand::Diff { replication } => return diff(config, *replication),
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(config: &Config, replication: u32) -> Result<ExitCode> {
    let cluster = admin::cluster(config.brokers()?, &config.kafka)?;
    let plan = admin::plan(graph::NODES, config.partitions, replication);
    let differences = admin::check(&cluster, graph::NODES, &plan);
    differences.iter().for_each(|difference| say!("{difference}"));
    if differences.is_empty() {
        say!("{} topics are as declared", plan.len());
    }
    Ok(ExitCode::from(u8::from(!differences.is_empty())))
}

#[cfg(test)]
mod tests {
    use tributary_graph::acl::{Acl, Operation, Resource, acls};

    use super::*;

    #[test]
    fn whatever_is_created_its_operator_may_create() {
        let acls = acls(APPLICATION);
        for topic in admin::plan(graph::NODES, 4, 3) {
            let may =
                |acl: &&Acl| acl.operation == Operation::Create && acl.resource == Resource::Topic(topic.name.clone());
            assert_eq!(acls.iter().filter(may).count(), 1, "{}", topic.name);
        }
    }
}
