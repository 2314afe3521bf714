//! `cmat estimate NAME | --like NAME | --turns N`: what work is likely to cost, by what such work cost.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::booking::Books;
use crate::budget::standing::Standing;
use crate::cli::EstimateArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::complain;
use crate::commands::task;
use crate::config::budgets::Budgets;
use crate::estimate;
use crate::estimate::Percentiles;
use crate::estimate::Step;
use crate::estimate::StepEstimate;
use crate::guard;
use crate::guard::Known;
use crate::guard::words;
use crate::ledger::history::Planned;
use crate::money::Usd;
use crate::period::Period;
use crate::printable::Printable;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::report;
use crate::report::Certainty;
use crate::report::counted;
use crate::report::table;
use crate::report::table::Side;
use crate::task_queue::QueueDocument;

/// What is shown where there is nothing to say.
const NOTHING: &str = "–";

/// What is estimated.
struct Estimate {
    steps: Vec<StepEstimate>,
    whole: Percentiles,
    /// What it is about, as text.
    title: String,
}

pub(super) fn run(args: &EstimateArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.asked_books()?;
    let estimate = match args.turns {
        Some(n) => turns(n, args, &books, context)?,
        None => steps(args, &books, context)?,
    };
    let standings = standings(args, &mut books, context)?;
    let whole = estimate.whole;
    let warning = (whole.n_runs < estimate::ENOUGH).then(|| {
        format!(
            "a short history: with fewer than {} runs P90 is the dearest of them ({} here)",
            estimate::ENOUGH,
            whole.n_runs
        )
    });
    if context.global.json {
        let document = document(args, &estimate, &standings, warning.as_deref(), context);
        context.print_json(&document)?;
    } else {
        write!(context.out, "{}", text(&estimate, &standings))?;
    }
    if let Some(warning) = &warning {
        complain(warning);
    }
    context.remark_billing();
    let is_exact = certainty(&whole).is_exact();
    Ok(if context.global.strict && !is_exact { Exit::Uncertain } else { Exit::Done })
}

fn steps(args: &EstimateArgs, books: &Books, context: &Context<'_>) -> anyhow::Result<Estimate> {
    let (planned, title) = match (&args.like, &args.name) {
        (Some(like), _) => (named(like, books, context)?, format!(" like those of {}", Printable(like))),
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            let mut planned = named(name, books, context)?;
            planned.retain(|planned| !planned.has_cost);
            if planned.is_empty() {
                let name = Printable(name);
                return Err(NotFound(format!(
                    "each task of {name} has a cost already; `cmat estimate --like {name}` says what it would cost again"
                ))
                .into());
            }
            (planned, format!(" of {} without a cost yet", Printable(name)))
        }
    };
    let steps = planned.into_iter().map(|planned| planned.step).collect();
    let steps = estimate::steps(steps, &books.ledger.past_tasks()?);
    let Some(whole) = estimate::whole(&steps) else {
        return Err(NotFound(
            "no task has a recorded cost yet: there is no history to estimate from".to_owned(),
        )
        .into());
    };
    Ok(Estimate { title: format!("{}{title}", counted(steps.len(), "step")), steps, whole })
}

/// Returns the tasks that `name` means: a task of that id, else the tasks of that enhancement, in this project, else in
/// any.
fn named(name: &str, books: &Books, context: &Context<'_>) -> anyhow::Result<Vec<Planned>> {
    let here = &context.config.project.root;
    let mut found: BTreeMap<String, Planned> = BTreeMap::new();
    for planned in books.ledger.planned(Some(here), name)? {
        found.insert(planned.step.name.clone(), planned);
    }
    let queued = task::read_queue(context);
    for queued in queued.iter().flat_map(QueueDocument::tasks) {
        let id = queued.id.as_str();
        if id != name && queued.enhancement.as_deref() != Some(name) {
            continue;
        }
        let step = Step { name: id.to_owned(), agent: None, operation: None };
        let has_cost = queued.costs.usd.is_some();
        let planned = found.entry(id.to_owned()).or_insert(Planned { step, has_cost });
        planned.step.agent = planned.step.agent.take().or(queued.assigned_agent);
        planned.step.operation = planned.step.operation.take().or(queued.task_type);
    }
    let mut found: Vec<Planned> = found.into_values().collect();
    if found.is_empty() {
        found = books.ledger.planned(None, name)?;
    }
    if found.iter().any(|planned| planned.step.name == name) {
        found.retain(|planned| planned.step.name == name);
    }
    if found.is_empty() {
        return Err(NotFound(format!(
            "no task or enhancement is called {} (`cmat task list` lists tasks); --like NAME takes the steps of another",
            Printable(name)
        ))
        .into());
    }
    Ok(found)
}

fn turns(n: u32, args: &EstimateArgs, books: &Books, context: &Context<'_>) -> anyhow::Result<Estimate> {
    let mut conditions = Vec::new();
    if let Some(like) = &args.like {
        let is_task = named(like, books, context)?.iter().any(|planned| planned.step.name == *like);
        let dimension = if is_task { Dimension::Task } else { Dimension::Enhancement };
        conditions.push(Condition { dimension, value: Some(like.clone()) });
    }
    let runs = books.ledger.past_turns(&Filter { period: Period::ALL, conditions })?;
    let Some(one) = Percentiles::of(&runs) else {
        return Err(NotFound(
            "no turn has a recorded cost yet: there is no history to estimate from".to_owned(),
        )
        .into());
    };
    let like =
        args.like.as_ref().map(|like| format!(" like those of {}", Printable(like))).unwrap_or_default();
    let title = format!("{}{like}", counted(n, "turn"));
    Ok(Estimate { steps: Vec::new(), whole: one.times(n), title })
}

/// Returns how the budgets stand that the work will be counted for.
fn standings(args: &EstimateArgs, books: &mut Books, context: &Context<'_>) -> anyhow::Result<Vec<Standing>> {
    let config = &context.config;
    let mut budgets = Budgets::read(config);
    for fault in &budgets.faults {
        complain(&format!("Warning: {fault}"));
    }
    guard::name_rows(&mut budgets, &mut books.prices, &config.project);
    let mut known = Known::default();
    match &args.name {
        Some(name) => {
            let is_task = named(name, books, context)
                .is_ok_and(|planned| planned.iter().any(|planned| planned.step.name == *name));
            let place = if is_task { &mut known.task } else { &mut known.enhancement };
            *place = Some(name);
        }
        None => {
            (known.task, known.enhancement) =
                (config.hook.task.as_deref(), config.hook.enhancement.as_deref())
        }
    }
    let subject = guard::subject(&books.ledger, &config.project, &known)?;
    Ok(guard::standings(&books.ledger, &budgets, &subject, books.now)?)
}

fn text(estimate: &Estimate, standings: &[Standing]) -> String {
    let Estimate { steps, whole, title } = estimate;
    let amount = |cost: Usd, of: &Percentiles| report::amount(cost, certainty(of));
    let mut text = format!(
        "{title}: {} at the P50 of each, {} at the P90 of each ({} or more)\n",
        amount(whole.p50, whole),
        amount(whole.p90, whole),
        counted(whole.n_runs, "past run"),
    );
    for standing in standings {
        let (word, amount) = after(standing, whole.p90);
        let amount = words::dollars(amount, standing.limit());
        let (about, usage) = (words::about(standing), words::usage(standing));
        text.push_str(&format!("budget {about} {usage}: P90 {word} {amount}\n"));
    }
    if !steps.is_empty() {
        let headings = [
            ("STEP", Side::Left),
            ("AGENT", Side::Left),
            ("OPERATION", Side::Left),
            ("RUNS", Side::Right),
            ("ALIKE BY", Side::Left),
            ("P50", Side::Right),
            ("P90", Side::Right),
        ];
        let name = |name: &Option<String>| Printable(name.as_deref().unwrap_or(NOTHING)).to_string();
        let rows = steps.iter().map(|StepEstimate { step, likeness, past }| {
            vec![
                Printable(&step.name).to_string(),
                name(&step.agent),
                name(&step.operation),
                past.n_runs.to_string(),
                likeness.as_str().to_owned(),
                amount(past.p50, past),
                amount(past.p90, past),
            ]
        });
        text.push('\n');
        text.push_str(&table::render(&headings, rows));
    }
    text
}

/// Returns what a budget leaves or lacks once `cost` is spent.
fn after(standing: &Standing, cost: Usd) -> (&'static str, Usd) {
    let left = standing.limit() - standing.spent.cost - cost;
    if left < Usd::ZERO { ("exceeds it by", -left) } else { ("leaves", left) }
}

fn certainty(past: &Percentiles) -> Certainty {
    Certainty { estimated: past.estimated, at_least: past.lower_bound }
}

/// Returns `cmat.estimate/1`.
fn document(
    args: &EstimateArgs,
    estimate: &Estimate,
    standings: &[Standing],
    warning: Option<&str>,
    context: &Context<'_>,
) -> Value {
    let steps: Vec<Value> = estimate
        .steps
        .iter()
        .map(|StepEstimate { step, likeness, past }| {
            json!({
                "task": step.name,
                "agent": step.agent,
                "operation": step.operation,
                "runs": past.n_runs,
                "alike_by": likeness.as_str(),
                "p50_usd": past.p50,
                "p90_usd": past.p90,
                "estimated": past.estimated,
                "lower_bound": past.lower_bound,
            })
        })
        .collect();
    let budgets: Vec<Value> = standings
        .iter()
        .map(|standing| {
            json!({
                "budget": standing.budget.id(),
                "name": standing.name,
                "limit_usd": standing.limit(),
                "spent_usd": standing.spent.cost,
                "after_p50_usd": standing.limit() - standing.spent.cost - estimate.whole.p50,
                "after_p90_usd": standing.limit() - standing.spent.cost - estimate.whole.p90,
            })
        })
        .collect();
    let warnings: Vec<Value> =
        warning.iter().map(|message| json!({ "code": "short_history", "message": message })).collect();
    json!({
        "schema": "cmat.estimate/1",
        "generated_at": context.config.now(),
        "currency": "USD",
        "billing": context.config.billing.as_str(),
        "name": args.name,
        "like": args.like,
        "turns": args.turns,
        "runs": estimate.whole.n_runs,
        "p50_usd": estimate.whole.p50,
        "p90_usd": estimate.whole.p90,
        "estimated": estimate.whole.estimated,
        "lower_bound": estimate.whole.lower_bound,
        "rows": steps,
        "budgets": budgets,
        "warnings": warnings,
    })
}
