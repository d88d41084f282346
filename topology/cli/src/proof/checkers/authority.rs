//! Nobody does what they may not: what only the privileged may ask is never accepted through another door, and a review is
//! decided by somebody who has a name and did not ask for the payment. Who asked, and through which door, is known from
//! the workload.

use tributary_query_api::command::CommandBody;
use tributary_schemas::accounts::AccountCommand;
use tributary_schemas::transactions::TransactionCommand;

use super::outcomes::granted;
use super::{Checker, Found, Told};
use crate::proof::workload::{Request, Sent};

/// The checker. It remembers nothing.
pub struct Authority;

/// Whether only the privileged may ask this.
fn is_privileged(body: &CommandBody) -> bool {
    match body {
        CommandBody::Account(AccountCommand::OpenAccount(open)) => {
            open.floor.is_some() || open.daily_limit.is_some() || open.monthly_limit.is_some()
        }
        CommandBody::Account(AccountCommand::UpdateAccount(update)) => {
            let limits = update.daily_limit.is_some() || update.monthly_limit.is_some() || update.clear_limits;
            update.floor.is_some() || limits
        }
        CommandBody::Account(AccountCommand::CloseAccount(_)) => false,
        CommandBody::Account(AccountCommand::FreezeAccount(_) | AccountCommand::UnfreezeAccount(_)) => true,
        CommandBody::Transaction(body) => matches!(body, TransactionCommand::ReviewTransaction(_)),
        CommandBody::Risk(_) => true,
    }
}

/// Why a request may not be granted, whatever the state it meets.
fn forbidden(key: &str, request: &Request, sent: &Sent) -> Option<&'static str> {
    if is_privileged(&request.body) && !request.privileged {
        return Some("came through a door for everybody");
    }
    if !matches!(request.body, CommandBody::Transaction(TransactionCommand::ReviewTransaction(_))) {
        return None;
    }
    if request.actor.is_none() {
        return Some("is a review by nobody");
    }
    let own = sent.creations(key).iter().any(|creation| creation.actor == request.actor);
    own.then_some("is a review by who asked for the payment")
}

impl Checker for Authority {
    fn name(&self) -> &'static str {
        "authority"
    }

    fn told(&mut self, told: &Told, sent: &Sent, found: &mut Found) {
        let Some((id, requests)) = granted(told, sent) else { return };
        // What is answered later names another cause: then it is any of those under this id.
        let at_once = requests.iter().find(|request| request.cause == told.header.causation);
        let why = match at_once {
            Some(request) => forbidden(&told.key, request, sent),
            None => {
                let mut why = requests.iter().map(|request| forbidden(&told.key, request, sent));
                why.next().flatten().filter(|_| why.all(|other| other.is_some()))
            }
        };
        if let Some(why) = why {
            found.wrong(format!("{}: {id} to {} is granted, and {why}", told.at(), told.key));
        }
    }
}
