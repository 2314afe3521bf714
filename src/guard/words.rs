//! What a person is told of a budget.

use crate::budget::Span;
use crate::budget::scope::Dimension;
use crate::budget::standing::Cause;
use crate::budget::standing::Standing;
use crate::budget::standing::Verdict;
use crate::ledger::notices::Notice;
use crate::ledger::notices::NoticeKind;
use crate::money::Usd;
use crate::printable::Printable;
use crate::report::counted;

/// The finest that an amount is suggested in: hundredths of a cent, in picodollars.
const SMALLEST_STEP: i128 = 100_000_000;

/// What is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A prompt.
    Prompt,
    /// A tool.
    Tool,
    /// A session that was to begin.
    Session,
    /// Nothing: somebody asks.
    Nothing,
}

/// Returns an amount of the budget's order of magnitude: cents, or hundredths of them where the limit is small.
pub fn dollars(amount: Usd, limit: Usd) -> String {
    let one = Usd::from_pico(1_000_000_000_000);
    let places = if limit < one { 4 } else { 2 };
    format!("${}", amount.rounded(places))
}

/// Returns the budget as words: `enhancement "checkout"`, `user`.
pub fn about(standing: &Standing) -> String {
    let word = standing.budget.scope.dimension.as_str();
    match standing.budget.scope.dimension {
        Dimension::User => word.to_owned(),
        _ => format!("{word} \"{}\"", Printable(&standing.name)),
    }
}

/// Returns how much is used, as words: `$10.02 of $10.00 (total)`.
pub fn usage(standing: &Standing) -> String {
    let limit = standing.limit();
    let period = match standing.budget.span {
        Span::Day => "today",
        Span::Week => "this week",
        Span::Month => "this month",
        Span::Total => "total",
    };
    let tilde = if standing.spent.estimated { "~" } else { "" };
    let plus = if standing.spent.n_unpriced > 0 { "+" } else { "" };
    format!("{tilde}{}{plus} of {} ({period})", dollars(standing.spent.cost, limit), dollars(limit, limit))
}

/// Returns how much is used, where there is little room: `checkout $9.80/$10.00`.
pub fn brief(standing: &Standing) -> String {
    let (limit, spent) = (standing.limit(), standing.spent);
    let name = match (standing.budget.scope.dimension, standing.budget.span) {
        (Dimension::User, Span::Day) => "today",
        (Dimension::User, span) => span.as_str(),
        (Dimension::Project, _) => standing.name.rsplit('/').next().unwrap_or_default(),
        _ => &standing.name,
    };
    let tilde = if spent.estimated { "~" } else { "" };
    let plus = if spent.n_unpriced > 0 { "+" } else { "" };
    let (spent, limit) = (dollars(spent.cost, limit), dollars(limit, limit));
    format!("{} {tilde}{spent}{plus}/{limit}", Printable(name))
}

/// Returns the message for somebody whom a budget stops.
pub fn refusal(standing: &Standing, verdict: &Verdict, estimate: Usd, stopped: Stopped) -> String {
    let what = match standing.cause(estimate) {
        Some(Cause::Unpriced) => {
            format!("{} without a price", counted(standing.spent.n_unpriced, "request"))
        }
        Some(Cause::WouldPass) => {
            format!("{} more would pass the budget", dollars(estimate, standing.limit()))
        }
        _ => "budget reached".to_owned(),
    };
    let outcome = match (stopped, verdict) {
        (Stopped::Prompt, Verdict::Ask) => " Tools need your word from here on.",
        (Stopped::Prompt, _) => " This prompt was not sent.",
        (Stopped::Tool, Verdict::Ask) => " Go on all the same?",
        (Stopped::Tool, _) => " The tool was not run.",
        (Stopped::Session, _) => " The session was not started.",
        (Stopped::Nothing, _) => "",
    };
    let mut text = format!("cmat: {what} – {} {}.{outcome}", about(standing), usage(standing));
    if let Verdict::Downgrade(model) = verdict {
        let model = Printable(model);
        text.push_str(&format!(
            "\n  Go on with a cheaper model: /model {model}   or: claude --model {model}"
        ));
    }
    text.push_str(&format!("\n  Why: {}", why(standing)));
    if standing.cause(estimate) == Some(Cause::Unpriced) {
        text.push_str("   What gives them a price: cmat doctor");
    } else if standing.budget.overridable {
        let id = quoted(&standing.budget.id());
        text.push_str(&format!(
            "   Continue, from your own terminal: cmat budget override {id} --amount {} --for 2h --reason \"…\"",
            suggested(standing, estimate)
        ));
    } else {
        text.push_str("   It cannot be overridden: ask whoever set it.");
    }
    text
}

/// Returns the message for a threshold that is reached.
pub fn notice(standing: &Standing, notice: &Notice) -> String {
    let (about, usage) = (about(standing), usage(standing));
    match notice.kind {
        NoticeKind::Spent => format!("cmat: {} % of a budget used – {about} {usage}.", standing.percent()),
        NoticeKind::Expected => {
            let expected = dollars(standing.expected.unwrap_or_default(), standing.limit());
            let percent = notice.percent;
            format!("cmat: {percent} % of a budget expected – {about} {usage}, on the way to {expected}.")
        }
    }
}

/// Returns what is left of each budget, for the beginning of a session.
pub fn left(standings: &[Standing]) -> String {
    let lines = standings.iter().map(|standing| {
        let left = dollars(standing.left(), standing.limit());
        format!("{} {}: {left} left", about(standing), usage(standing))
    });
    format!("cmat budgets: {}.", lines.collect::<Vec<_>>().join("; "))
}

fn why(standing: &Standing) -> String {
    match standing.budget.scope.dimension {
        Dimension::Task => format!("cmat explain {}", quoted(&standing.name)),
        Dimension::Enhancement => format!("cmat costs enhancement {}", quoted(&standing.name)),
        _ => "cmat budget status".to_owned(),
    }
}

/// Returns what lets a session go on: what is missing and a fifth of the limit, rounded up to one digit of that fifth.
fn suggested(standing: &Standing, estimate: Usd) -> Usd {
    let fifth = (standing.budget.limit.pico() / 5).max(SMALLEST_STEP);
    let mut step = SMALLEST_STEP;
    while step <= fifth / 10 {
        step *= 10;
    }
    let missing = (standing.spent.cost + estimate - standing.limit()).max(Usd::ZERO);
    let wanted = missing.pico().saturating_add(fifth);
    Usd::from_pico((wanted / step).saturating_add(i128::from(wanted % step > 0)).saturating_mul(step))
}

/// Returns a name as a shell takes it.
fn quoted(name: &str) -> String {
    let name = Printable(name).to_string();
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@');
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name,
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}
