//! `cmat models …`: which prices are in force, and the commands that change a project's models.json.

mod change;
mod check;

use anyhow::Context as _;
use anyhow::bail;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;

use crate::cli::ModelsCommand;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::models_file;
use crate::pricing::Match;
use crate::pricing::Model;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::Reason;
use crate::pricing::Warning;
use crate::printable::Printable;
use crate::report::price_sheet;
use crate::report::price_sheet::Detail;

/// What `models which` prints for programs.
const WHICH_SCHEMA: &str = "cmat.models.which/1";

pub(super) fn run(command: &ModelsCommand, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        ModelsCommand::List { prices, all } => list(*prices, *all, context),
        ModelsCommand::Show { id, history } => show(id, *history, context),
        ModelsCommand::Which { model } => which(model, context),
        ModelsCommand::Check => check::run(context),
        ModelsCommand::SetDefault { id } => change::set_default(id, context),
        ModelsCommand::Add(args) => change::add(args, context),
        ModelsCommand::Remove { id } => change::remove(id, context),
        ModelsCommand::Update { dry_run } => change::update(*dry_run, context),
        ModelsCommand::Import { file, dry_run } => change::import(file, *dry_run, context),
    }
}

/// Returns the price table of the project at hand; rows that cannot be used, and prices far off, are said.
pub(super) fn table(context: &Context<'_>) -> anyhow::Result<PriceTable> {
    let config = &context.config;
    let loaded = models_file::load(Some(&config.project.root), Some(&config.user_dir))
        .context("mend this file, or move it away")?;
    for warning in &loaded.warnings {
        complain(&warning.to_string());
    }
    if loaded.warnings.iter().any(|warning| matches!(warning, Warning::RowLeftOut { .. })) {
        complain("mend such a row in its file, or take it out: until then it prices nothing");
    }
    for off in loaded.table.off_list_rows(config.now()) {
        complain(&format!("{off}; it is used (`cmat models update --dry-run` shows the list price)"));
    }
    Ok(loaded.table)
}

fn today(context: &Context<'_>) -> Date {
    context.config.now().to_zoned(TimeZone::UTC).date()
}

fn list(all_prices: bool, all_rows: bool, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (table, day) = (table(context)?, today(context));
    let rows = in_force(&table);
    let projects: Vec<&Model> =
        rows.iter().copied().filter(|row| row.source == PriceSource::Project).collect();
    let rows = if all_rows || projects.is_empty() { rows } else { projects };
    if context.global.json {
        let json: Vec<Value> = rows.iter().map(|row| price_sheet::json(row, day)).collect();
        let default = &table.get_default().id;
        context.print_json(&json!({"schema": "cmat.models.list/1", "default": default, "rows": json}))?;
    } else {
        let detail = if all_prices { Detail::AllPrices } else { Detail::InputAndOutput };
        write!(context.out, "{}", price_sheet::list(&rows, day, detail))?;
    }
    Ok(Exit::Done)
}

/// Returns the rows that an id can mean: of several with the same id only the first.
fn in_force(table: &PriceTable) -> Vec<&Model> {
    let reached = |row: &&Model| table.get(row.id.as_str()).is_some_and(|first| std::ptr::eq(first, *row));
    table.list_all().iter().filter(reached).collect()
}

fn show(id: &str, history: bool, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (table, day) = (table(context)?, today(context));
    let Some(row) = table.get(id).or_else(|| table.get_by_pattern(id).map(|found| found.model)) else {
        bail!("Model not found: {}", Printable(id));
    };
    if context.global.json {
        let mut json = price_sheet::json(row, day);
        if let Value::Object(json) = &mut json {
            json.shift_insert(0, "schema".into(), "cmat.models.show/1".into());
            if history {
                json.insert("history".into(), price_sheet::history_json(row));
            }
        }
        context.print_json(&json)?;
    } else {
        write!(context.out, "{}", price_sheet::show(row, day))?;
        if history {
            write!(context.out, "{}", price_sheet::history(row))?;
        }
    }
    Ok(Exit::Done)
}

fn which(model_id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (table, day) = (table(context)?, today(context));
    let found = table.get_by_pattern(model_id);
    if context.global.json {
        context.print_json(&which_json(model_id, found.as_ref(), day))?;
    } else if let Some(found) = &found {
        writeln!(context.out, "{}", which_line(found, day))?;
    } else if let Some(newest) = table.newest_of(model_id) {
        complain(&format!(
            "Error: `{}` is a family of models, and no request names it; the newest is `{}`",
            Printable(model_id),
            newest.id
        ));
    } else {
        complain(&format!(
            "Error: no row is for `{}`; `cmat models add` adds one, `cmat models list --all` shows what there is",
            Printable(model_id)
        ));
    }
    Ok(if found.is_some() { Exit::Done } else { Exit::Failed })
}

fn which_line(found: &Match<'_>, day: Date) -> String {
    let removed: Vec<String> = found.removed.iter().map(|part| format!("\"{}\"", Printable(part))).collect();
    let removed = match removed.split_last() {
        None => String::new(),
        Some((only, [])) => format!(", after removing {only}"),
        Some((last, first)) => format!(", after removing {} and {last}", first.join(", ")),
    };
    let (prices, _) = found.model.prices_on(day);
    let prices = price_sheet::in_and_out(&prices.prices);
    format!("  {}  by {}{removed}   {prices}", found.model.id, reason(found))
}

fn reason(found: &Match<'_>) -> String {
    let pattern = || found.model.pattern.as_ref().map_or("", |pattern| pattern.as_str());
    match found.reason {
        Reason::Id => "id".to_owned(),
        Reason::Alias => "another of its ids".to_owned(),
        Reason::Name => "family and version".to_owned(),
        Reason::Pattern(kind) => format!("{kind} {}", Printable(pattern())),
        Reason::Default => "default".to_owned(),
    }
}

fn which_json(model_id: &str, found: Option<&Match<'_>>, day: Date) -> Value {
    let Some(found) = found else {
        return json!({"schema": WHICH_SCHEMA, "id": null, "model": model_id, "reason": "no row fits"});
    };
    let (prices, _) = found.model.prices_on(day);
    let rates = &prices.prices.rates;
    json!({
        "schema": WHICH_SCHEMA,
        "id": found.model.id,
        "model": model_id,
        "reason": match found.reason {
            Reason::Id => "id",
            Reason::Alias => "alias",
            Reason::Name => "name",
            Reason::Pattern(_) => "pattern",
            Reason::Default => "default",
        },
        "pattern": found.model.pattern.as_ref().map(|pattern| pattern.as_str()),
        "pattern_kind": found.model.pattern.as_ref().map(|pattern| pattern.kind().to_string()),
        "removed": found.removed,
        "fast": found.fast,
        "batch": found.batch,
        "source": found.model.source,
        "input": rates.input,
        "output": rates.output,
        "cache_write": rates.cache_write_5m,
        "cache_write_1h": rates.cache_write_1h,
        "cache_read": rates.cache_read,
    })
}
