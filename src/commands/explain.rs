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
use crate::report::explanation::Explained;
use crate::report::explanation::Length;
use crate::summary::Elsewhere;

pub(super) fn run(args: &ExplainArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let Some(explained) = find(&args.what, &books, context)? else {
        return Err(NotFound(format!(
            "no task, session or request `{}` has a recorded cost",
            Printable(&args.what)
        ))
        .into());
    };
    if context.global.json {
        context.print_json(&explanation::document(&args.what, &explained))?;
    } else {
        let length = if args.all { Length::Whole } else { Length::Short };
        write!(context.out, "{}", explanation::render(&explained, length))?;
    }
    Ok(Exit::Done)
}

/// Takes the text for a task, else for a session, else for a request.
fn find(what: &str, books: &Books, context: &Context<'_>) -> anyhow::Result<Option<Explained>> {
    if let Some(task) = costs::find_task(&TaskId::new(what)?, books, context)? {
        let summary = books.ledger.task_summary(task)?;
        if summary.is_recorded() {
            let scope = Scope::Task(task);
            return Ok(Some(Explained {
                requests: books.ledger.explain(scope)?,
                clients_say: books.ledger.clients_say(Some(scope))?,
                elsewhere: summary.elsewhere,
                totals: summary.totals,
            }));
        }
    }
    for scope in [Scope::Session(&SessionId::new(what)?), Scope::Request(what)] {
        if let Some(totals) = books.ledger.totals(scope)? {
            let clients_say = match scope {
                Scope::Session(_) => books.ledger.clients_say(Some(scope))?,
                _ => Vec::new(),
            };
            let requests = books.ledger.explain(scope)?;
            return Ok(Some(Explained { requests, clients_say, elsewhere: Elsewhere::default(), totals }));
        }
    }
    Ok(None)
}
