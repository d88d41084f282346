//! Who may do what on a cluster, from the graph. Trust is per topic, because that is all Kafka can enforce: ordinary
//! commands are for clients, privileged ones for admins, and facts are written by the application alone.
//!
//! Deliberately absent: how a principal proves who it is. That is the cluster's.

use std::fmt;

use tributary_flow::{CLOCK, DEAD_LETTERS, Kind};

use crate::{NODES, TOPICS};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Consume a topic, or use a group.
    Read,
    /// Produce to a topic, or use a transactional id.
    Write,
    /// See that it is there.
    Describe,
    /// See a topic's settings.
    DescribeConfigs,
    /// Create a topic.
    Create,
}

/// On what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The topic of this name.
    Topic(String),
    /// Every consumer group whose name begins so.
    Groups(String),
    /// Every transactional id that begins so.
    TransactionalIds(String),
}

/// One permission. Shown as the command line that grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// To whom, as `User:tributary`.
    pub principal: String,
    /// What.
    pub operation: Operation,
    /// On what.
    pub resource: Resource,
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Acl { principal, operation, resource } = self;
        write!(
            f,
            "kafka-acls.sh --bootstrap-server \"$BROKERS\" --add --allow-principal {principal} --operation {operation:?} "
        )?;
        match resource {
            Resource::Topic(name) => write!(f, "--topic {name}"),
            Resource::Groups(prefix) => write!(f, "--group {prefix} --resource-pattern-type prefixed"),
            Resource::TransactionalIds(prefix) => {
                write!(f, "--transactional-id {prefix} --resource-pattern-type prefixed")
            }
        }
    }
}

/// Permissions in the making, for one principal.
struct Grants<'a> {
    principal: String,
    acls: &'a mut Vec<Acl>,
}

impl Grants<'_> {
    fn grant(&mut self, operations: &[Operation], resource: Resource) {
        for &operation in operations {
            let acl = Acl { principal: self.principal.clone(), operation, resource: resource.clone() };
            if !self.acls.contains(&acl) {
                self.acls.push(acl);
            }
        }
    }

    fn topic(&mut self, operations: &[Operation], name: &str) {
        self.grant(operations, Resource::Topic(name.to_owned()));
    }
}

/// Every permission that an installation needs: its processes are `User:<application>`, its clients, admins and operator
/// `User:<application>-client`, `-admin` and `-operator`.
#[must_use]
pub fn acls(application: &str) -> Vec<Acl> {
    let mut acls = Vec::new();
    processes(application, &mut acls);
    for (role, door) in [("client", Kind::Commands), ("admin", Kind::AdminCommands)] {
        let mut grants = Grants { principal: format!("User:{application}-{role}"), acls: &mut acls };
        for topic in TOPICS {
            if topic.kind == door {
                grants.topic(&[Operation::Write], topic.name);
            } else if !topic.kind.is_door() {
                grants.topic(&[Operation::Read], topic.name);
            }
        }
        if door == Kind::AdminCommands {
            grants.topic(&[Operation::Read], DEAD_LETTERS);
        }
        grants.grant(&[Operation::Read], Resource::Groups(format!("{application}-{role}.")));
    }
    let mut grants = Grants { principal: format!("User:{application}-operator"), acls: &mut acls };
    let domain = TOPICS.iter().map(|topic| topic.name.to_owned());
    let internal = NODES.iter().flat_map(|node| node.own());
    for topic in domain.chain(internal).chain([DEAD_LETTERS, CLOCK].map(str::to_owned)) {
        grants.topic(&[Operation::Create, Operation::Describe, Operation::DescribeConfigs], &topic);
    }
    acls
}

fn processes(application: &str, acls: &mut Vec<Acl>) {
    use Operation::{Describe, DescribeConfigs, Read, Write};
    let mut grants = Grants { principal: format!("User:{application}"), acls };
    for node in NODES {
        for topic in node.inputs {
            grants.topic(&[Read, DescribeConfigs], topic.name);
            if topic.kind.is_door() {
                // A command that came in at the wrong partition is sent on; the edge writes here too.
                grants.topic(&[Write], topic.name);
            }
        }
        for topic in node.outputs {
            grants.topic(&[Write], topic.name);
        }
        for topic in node.own() {
            grants.topic(&[Read, Write, DescribeConfigs], &topic);
        }
    }
    grants.topic(&[Read, Write], DEAD_LETTERS);
    grants.topic(&[Write, DescribeConfigs], CLOCK);
    // Groups are `<application>.<placement>`, transactional ids the slots of the application.
    grants.grant(&[Read], Resource::Groups(format!("{application}.")));
    grants.grant(&[Write, Describe], Resource::TransactionalIds(format!("{application}.")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writers(topic: &str) -> Vec<String> {
        let writes = |acl: &Acl| acl.operation == Operation::Write && acl.resource == Resource::Topic(topic.to_owned());
        acls("shop").into_iter().filter(writes).map(|acl| acl.principal).collect()
    }

    #[test]
    fn each_kind_of_topic_has_the_writers_it_may_have() {
        for topic in TOPICS {
            let expected: &[&str] = match topic.kind {
                Kind::Commands => &["User:shop", "User:shop-client"],
                Kind::AdminCommands => &["User:shop", "User:shop-admin"],
                _ => &["User:shop"],
            };
            assert_eq!(writers(topic.name), expected, "{}", topic.name);
        }
        for node in NODES {
            assert!(node.own().iter().all(|topic| writers(topic) == ["User:shop"]), "{}", node.name);
        }
    }

    #[test]
    fn nobody_outside_reads_commands_or_state() {
        let facts: Vec<_> = TOPICS.iter().filter(|topic| !topic.kind.is_door()).map(|topic| topic.name).collect();
        for acl in acls("shop") {
            if let (Operation::Read, Resource::Topic(name)) = (acl.operation, &acl.resource)
                && acl.principal != "User:shop"
            {
                let allowed =
                    facts.contains(&name.as_str()) || (acl.principal == "User:shop-admin" && name == DEAD_LETTERS);
                assert!(allowed, "{acl}");
            }
        }
    }

    #[test]
    fn a_permission_is_shown_as_the_command_that_grants_it() {
        let shown: Vec<_> = acls("shop").iter().map(Acl::to_string).collect();
        for line in [
            "--allow-principal User:shop-client --operation Write --topic transactions.commands.v1",
            "--allow-principal User:shop --operation Write --transactional-id shop. --resource-pattern-type prefixed",
            "--allow-principal User:shop --operation Read --group shop. --resource-pattern-type prefixed",
        ] {
            assert!(shown.iter().any(|shown| shown.ends_with(line)), "{line}");
        }
    }
}
