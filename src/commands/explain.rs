//! `cmat explain TASK|SESSION|REQUEST`.

use crate::booking::Books;
use crate::cli::ExplainArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::costs;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::totals::Scope;
use crate::printable::Printable;
use crate::report::explanation;
use crate::report::explanation::Length;
use crate::summary::ExplainedRequest;

pub(super) fn run(args: &ExplainArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.settled_books()?;
    let requests = find(&args.what, &books, context)?;
    if requests.is_empty() {
        return Err(NotFound(format!(
            "no task, session or request `{}` has a recorded cost",
            Printable(&args.what)
        ))
        .into());
    }
    if context.global.json {
        context.print_json(&explanation::document(&args.what, &requests))?;
    } else {
        let length = if args.all { Length::Whole } else { Length::Short };
        write!(context.out, "{}", explanation::render(&requests, length))?;
    }
    Ok(Exit::Done)
}

/// Takes the text for a task, else for a session, else for a request.
fn find(what: &str, books: &Books, context: &Context<'_>) -> anyhow::Result<Vec<ExplainedRequest>> {
    let mut requests = Vec::new();
    if let Some(task) = costs::find_task(&TaskId::new(what)?, books, context)? {
        requests = books.ledger.explain(Scope::Task(task))?;
    }
    if requests.is_empty() {
        requests = books.ledger.explain(Scope::Session(&SessionId::new(what)?))?;
    }
    if requests.is_empty() {
        requests = books.ledger.explain(Scope::Request(what))?;
    }
    Ok(requests)
}
