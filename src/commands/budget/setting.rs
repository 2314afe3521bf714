//! `cmat budget set | remove`, `cmat set-budget`: changes of the user's own budgets, each in the audit.

use anyhow::bail;
use serde_json::json;
use toml_edit::Array;
use toml_edit::Value;

use crate::booking::prices::PriceTables;
use crate::budget::Budget;
use crate::budget::Origin;
use crate::budget::Span;
use crate::budget::entry;
use crate::budget::scope::Dimension;
use crate::budget::scope::Scope;
use crate::cli::BudgetSetArgs;
use crate::cli::Limits;
use crate::cli::OnExceedWord;
use crate::cli::SetBudgetArgs;
use crate::cli::UnpricedWord;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::budget::file::Setting;
use crate::commands::budget::file::UserFile;
use crate::commands::budget::overriding::refuse_inside_claude_code;
use crate::commands::budget::overriding::refuse_without_person;
use crate::commands::complain;
use crate::commands::installation;
use crate::commands::installation::shown;
use crate::config::budgets::Budgets;
use crate::id::ModelId;
use crate::ledger::Durability;
use crate::money::Usd;
use crate::printable::Printable;
use crate::report::counted;

/// What every budget of one command has.
struct Common {
    scope: Scope,
    project: Option<String>,
    keys: Vec<(&'static str, Value)>,
    without: Vec<&'static str>,
    new_keys: Vec<(&'static str, Value)>,
}

/// `cmat set-budget`
pub(in crate::commands) fn set_plain(
    args: &SetBudgetArgs,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let new_keys = vec![("on_exceed", Value::from("block"))];
    let common =
        Common { scope: Scope::USER, project: None, keys: Vec::new(), without: Vec::new(), new_keys };
    save(args.limits, common, context)
}

pub(super) fn set(args: &BudgetSetArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (scope, project) = scope(args, context)?;
    check_models(&scope, args.downgrade_to.as_ref(), context)?;
    let mut keys = Vec::new();
    let mut without = Vec::new();
    let mut new_keys = Vec::new();
    if let Some(warn) = &args.warn {
        keys.push(("warn", percents(&entry::thresholds("--warn", warn.clone())?)));
    }
    if let Some(forecast) = &args.forecast {
        if args.limits.total.is_some() {
            return Err(entry::EntryError::ForecastOfTotal.into());
        }
        keys.push(("forecast", percents(&entry::thresholds("--forecast", forecast.clone())?)));
    }
    match (args.on_exceed, &args.downgrade_to) {
        (Some(OnExceedWord::Downgrade), None) => bail!("--on-exceed downgrade needs --downgrade-to MODEL"),
        (Some(OnExceedWord::Downgrade) | None, Some(model)) => {
            keys.push(("on_exceed", Value::from("downgrade")));
            keys.push(("downgrade_to", Value::from(model.as_str())));
        }
        (Some(_), Some(_)) => bail!("--downgrade-to goes with --on-exceed downgrade alone"),
        (Some(word), None) => {
            keys.push(("on_exceed", Value::from(word.as_str())));
            without.push("downgrade_to");
        }
        (None, None) => new_keys.push(("on_exceed", Value::from("block"))),
    }
    if let Some(unpriced) = args.unpriced {
        let word = if unpriced == UnpricedWord::Block { "block" } else { "warn" };
        keys.push(("unpriced", Value::from(word)));
    }
    save(args.limits, Common { scope, project, keys, without, new_keys }, context)
}

/// Refuses a cheaper model that no price row is for, which no session could go on with, and warns of one whose requests
/// have no price.
fn check_models(scope: &Scope, cheaper: Option<&ModelId>, context: &Context<'_>) -> anyhow::Result<()> {
    let config = &context.config;
    let mut prices = PriceTables::new(&config.user_dir, config.unknown_model);
    let mut has_row = |model: &str| prices.row_of(Some(&config.project.root), model).is_some();
    if let Some(model) = cheaper.map(ModelId::as_str)
        && !has_row(model)
    {
        return Err(NotFound(format!(
            "no price row is for `{}`, so no session could go on with it: name a model, as `cmat models list --all` \
             does, or a family of models, such as haiku",
            Printable(model)
        ))
        .into());
    }
    if scope.dimension == Dimension::Model
        && let Some(model) = &scope.name
        && !has_row(model)
    {
        complain(&format!(
            "Warning: no price row is for `{}`, so no money is counted for it (`cmat models list --all` shows them, \
             `cmat models add` adds one)",
            Printable(model)
        ));
    }
    Ok(())
}

fn percents(percents: &[u32]) -> Value {
    Value::Array(percents.iter().map(|percent| i64::from(*percent)).collect::<Array>())
}

/// Returns the scope that the arguments name, and the project that it is narrowed to.
fn scope(args: &BudgetSetArgs, context: &Context<'_>) -> anyhow::Result<(Scope, Option<String>)> {
    let project = match &context.global.project {
        Some(_) => match context.config.project.root.to_str() {
            Some(path) => Some(path.to_owned()),
            None => bail!("the project's path is no UTF-8, which a configuration cannot hold"),
        },
        None => None,
    };
    let named = [
        (Dimension::Enhancement, &args.enhancement),
        (Dimension::Branch, &args.branch),
        (Dimension::Task, &args.task),
        (Dimension::Model, &args.model),
        (Dimension::Agent, &args.agent),
        (Dimension::Tag, &args.tag),
    ];
    let named = named.into_iter().find_map(|(dimension, name)| Some((dimension, name.as_deref()?)));
    Ok(match (named, project) {
        (Some((dimension, name)), project) => (Scope::new(dimension, name)?, project),
        (None, Some(path)) if !args.user => (Scope::new(Dimension::Project, &path)?, None),
        (None, project) => (Scope::USER, project),
    })
}

fn save(limits: Limits, mut common: Common, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let spans = [
        (limits.daily, Span::Day),
        (limits.weekly, Span::Week),
        (limits.monthly, Span::Month),
        (limits.total, Span::Total),
    ];
    let spans = spans.into_iter().filter_map(|(limit, span)| Some((limit?, span)));
    let ids: Vec<String> = spans.clone().map(|(_, span)| format!("{}/{span}", common.scope)).collect();
    refuse_inside_claude_code(&format!("a change of the budget {}", ids.join(", ")), context)?;
    let zone = &context.config.calendar.zone;
    // Without a name the machine's own is meant, whichever that is.
    if let Some(name) = zone.iana_name() {
        common.new_keys.push(("timezone", Value::from(name)));
    }
    let mut file = UserFile::read(&context.config.user_dir)?;
    let (mut done, mut lines) = (Vec::new(), Vec::new());
    let mut stops = false;
    for ((limit, span), id) in spans.zip(ids) {
        let mut keys = vec![("limit", Value::from(written(limit)))];
        keys.extend(common.keys.iter().cloned());
        let setting = Setting {
            scope: common.scope.to_string(),
            period: span.as_str(),
            project: common.project.clone(),
            keys,
            without: common.without.clone(),
            new_keys: common.new_keys.clone(),
        };
        file.set(&setting)?;
        let mut line = json!({ "budget": id, "limit": limit, "person": context.config.person() });
        for key in ["project", "on_exceed", "downgrade_to", "warn", "forecast", "unpriced"] {
            if let Some(value) = file.value(&setting, key)? {
                line[key] = json!(value);
            }
        }
        stops |= line["on_exceed"] != "warn";
        lines.push(line);
        done.push((id, limit));
    }
    let path = shown(file.path(), &context.config);
    let mut books = context.books()?;
    let now = books.now;
    // What cannot be put into the audit is not done: the file is written while the ledger waits.
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    for line in &lines {
        recording.audit("budget_set", line)?;
    }
    file.save()?;
    recording.commit()?;
    // From now on hooks count it before each prompt, which is fastest once all is rolled up.
    if let Err(fault) = books.ledger.roll_up() {
        tracing::warn!("the ledger is not rolled up: {fault}");
    }
    let is_enforced = installation::enforcing_hooks(&context.config).is_some();
    if context.global.json {
        let rows: Vec<_> = done.iter().map(|(id, limit)| json!({ "id": id, "limit_usd": limit })).collect();
        context.print_json(&json!({
            "schema": "cmat.budget.set/1", "file": path, "enforced": is_enforced, "rows": rows,
        }))?;
        return Ok(Exit::Done);
    }
    for (id, limit) in &done {
        writeln!(context.out, "{}: ${}, in {path}", Printable(id), written(*limit))?;
    }
    if stops && !is_enforced {
        writeln!(
            context.out,
            "No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them"
        )?;
    }
    Ok(Exit::Done)
}

/// Returns an amount as a file has it: with cents.
pub(super) fn written(limit: Usd) -> String {
    let exact = limit.to_string();
    let cents = limit.fixed(2);
    if cents.parse() == Ok(limit) { cents } else { exact }
}

pub(super) fn remove(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let command = format!("cmat budget remove {id}");
    refuse_inside_claude_code(&command, context)?;
    refuse_without_person(&command, context)?;
    let budgets = Budgets::read(&context.config);
    let of_user: Vec<&Budget> = budgets.all.iter().filter(|budget| budget.origin == Origin::User).collect();
    let mut ids: Vec<String> =
        of_user.iter().filter(|budget| budget.is_named(id)).map(|budget| budget.id()).collect();
    ids.sort();
    ids.dedup();
    let [id] = ids.as_slice() else {
        if ids.len() > 1 {
            bail!("`{}` means several budgets: {}; name one", Printable(id), ids.join(", "));
        }
        let elsewhere = budgets.all.iter().find(|budget| budget.is_named(id));
        let hint = match elsewhere {
            Some(budget) => format!("it is in the {}'s file, which stays as it is", budget.origin.as_str()),
            None => "`cmat budget list` lists them".to_owned(),
        };
        return Err(NotFound(format!("no budget of yours is called `{}`: {hint}", Printable(id))).into());
    };
    let mut file = UserFile::read(&context.config.user_dir)?;
    let path = shown(file.path(), &context.config);
    let n_removed = file.remove(|scope, period| {
        scope.parse::<Scope>().is_ok_and(|scope| format!("{scope}/{period}") == *id)
    })?;
    let mut books = context.books()?;
    let now = books.now;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    recording.audit("budget_removed", &json!({ "budget": id, "person": context.config.person() }))?;
    file.save()?;
    recording.commit()?;
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.budget.remove/1", "id": id, "removed": n_removed, "file": path,
        }))?;
    } else {
        writeln!(context.out, "{} removed: {}, from {path}", Printable(id), counted(n_removed, "entry"))?;
    }
    Ok(Exit::Done)
}
