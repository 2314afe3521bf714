//! `cmat models set-default | add | remove | update | import`: changes to the project's models.json.

use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

use crate::cli::ModelsAddArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::models;
use crate::models_file;
use crate::models_file::Change;
use crate::models_file::ImportedRow;
use crate::models_file::ModelsFile;
use crate::models_file::NewRow;
use crate::money::Rate;
use crate::pricing::BUILT_IN_JSON;
use crate::pricing::Model;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::Source;
use crate::pricing::TokenKind;
use crate::printable::Printable;
use crate::report::counted;

pub(super) fn set_default(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let table = models::table(context)?;
    let Some(row) = table.get(id) else { bail!("Model not found: {}", Printable(id)) };
    let mut file = project_file(context)?;
    file.set_default(row.id.as_str())?;
    file.save()?;
    report(&format!("Default model set to: {}", row.id), "set-default", id, &[], &file, context)
}

pub(super) fn add(args: &ModelsAddArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let table = models::table(context)?;
    let mut pricing = Map::new();
    for (key, price) in [
        ("input", Some(&args.input)),
        ("output", Some(&args.output)),
        ("cache_write", args.cache_write.as_ref()),
        ("cache_write_1h", args.cache_write_1h.as_ref()),
        ("cache_read", args.cache_read.as_ref()),
    ] {
        let Some(price) = price else { continue };
        let rate: Rate = price.parse().with_context(|| format!("--{}", key.replace('_', "-")))?;
        pricing.insert(key.to_owned(), number(rate)?);
    }
    let row = NewRow {
        id: args.id.clone(),
        name: args.name.clone(),
        description: args.description.clone(),
        pattern: args.pattern.clone(),
        max_tokens: args.max_tokens,
        pricing,
    };
    let mut file = project_file(context)?;
    add_row(&mut file, &row, &table)?;
    if args.default {
        file.set_default(&row.id)?;
    }
    file.save()?;
    report(&format!("Added model: {}", Printable(&row.id)), "add", &row.id, &[], &file, context)
}

/// Adds a row; a file that had none would make it the default, so the present default is kept by name.
fn add_row(file: &mut ModelsFile, row: &NewRow, table: &PriceTable) -> anyhow::Result<()> {
    if !table.list_all().iter().any(|row| row.source == PriceSource::Project) {
        file.set_default(table.get_default().id.as_str())?;
    }
    file.add(row)?;
    Ok(())
}

pub(super) fn remove(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut file = project_file(context)?;
    if !file.has_row(id) {
        bail!("Model not found: {} (in {})", Printable(id), file.path().display());
    }
    file.remove(id)?;
    file.save()?;
    report(&format!("Removed model: {}", Printable(id)), "remove", id, &[], &file, context)
}

pub(super) fn update(dry_run: bool, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let loaded = models_file::load(Some(&context.config.project.root), None)?;
    let mut file = project_file(context)?;
    let mut changes = Vec::new();
    for row in loaded.table.list_all().iter().filter(|row| row.source == PriceSource::Project) {
        let Some(list) = list_row(row) else { continue };
        let changed = file.set_pricing(row.id.as_str(), &list_pricing(row, list)?)?;
        changes.extend(changed.into_iter().map(|change| (row.id.to_string(), change)));
    }
    finish(&file, &changes, "update", dry_run, context)
}

/// Returns the built-in row for the model that a row is for.
fn list_row(row: &Model) -> Option<&'static Model> {
    let ids = row.aliases.iter().map(String::as_str).chain([row.id.as_str()]);
    ids.filter_map(|id| PriceTable::built_in().get_by_pattern(id)).map(|found| found.model).next()
}

/// Returns what of a built-in row's `pricing` a row lacks: prices that come out otherwise, tiers, modifiers.
///
/// What a row leaves open and gets right all the same (a one-hour write of twice the input price, half of it for a
/// batch, web searches) stays open.
fn list_pricing(row: &Model, list: &Model) -> anyhow::Result<Map<String, Value>> {
    let shipped: Value = serde_json::from_str(BUILT_IN_JSON)?;
    let rows = shipped["models"].as_array().map_or(&[][..], Vec::as_slice);
    let found = rows.iter().find(|shipped| shipped["id"] == list.id.as_str());
    let pricing = found.and_then(|row| row["pricing"].as_object()).cloned().unwrap_or_default();
    let (ours, theirs) = (row.latest(), list.latest());
    let differs = |kind| ours.prices.rates.of(kind) != theirs.prices.rates.of(kind);
    let is_wanted = |key: &str| match key {
        "input" => differs(TokenKind::Input),
        "output" => differs(TokenKind::Output),
        "cache_write" => differs(TokenKind::CacheWrite5m),
        "cache_write_1h" => differs(TokenKind::CacheWrite1h),
        "cache_read" => differs(TokenKind::CacheRead),
        "tiers" => ours.tiers != theirs.tiers,
        "modifiers" => ours.fast != theirs.fast || ours.us_only != theirs.us_only,
        _ => false,
    };
    Ok(pricing.into_iter().filter(|(key, _)| is_wanted(key)).collect())
}

pub(super) fn import(path: &Path, dry_run: bool, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let table = models::table(context)?;
    let path = context.config.cwd.join(path);
    let json = models_file::read_prices(&path)?;
    let rows = models_file::imported_rows(&json, models::today(context))
        .with_context(|| format!("nothing is imported from `{}`", path.display()))?;
    let mut file = project_file(context)?;
    let mut changes = Vec::new();
    for row in &rows {
        let known = table.get_by_pattern(&row.id);
        if known.as_ref().is_some_and(|known| has_these_prices(known.model, row)) {
            continue;
        }
        let known = known.map(|known| known.model);
        let id = known.map_or(row.id.as_str(), |model| model.id.as_str());
        let changed = if file.has_row(id) {
            file.set_pricing(id, &row.pricing)?
        } else {
            add_row(&mut file, &new_row(id, known, row), &table)?;
            let stated = |(key, value): (&String, &Value)| Change {
                key: key.clone(),
                from: None,
                to: value.to_string(),
            };
            row.pricing.iter().map(stated).collect()
        };
        changes.extend(changed.into_iter().map(|change| (id.to_owned(), change)));
    }
    finish(&file, &changes, "import", dry_run, context)
}

fn new_row(id: &str, known: Option<&Model>, row: &ImportedRow) -> NewRow {
    NewRow {
        id: id.to_owned(),
        name: row.name.clone().or_else(|| known.map(|model| model.name.clone())),
        description: known.map(|model| model.description.clone()),
        pattern: None,
        max_tokens: row.max_tokens.or_else(|| known.and_then(|model| model.max_tokens)),
        pricing: row.pricing.clone(),
    }
}

/// Returns whether a row already has the imported prices, long-prompt tiers included.
fn has_these_prices(model: &Model, row: &ImportedRow) -> bool {
    let json = json!({"models": [{"id": row.id, "pricing": row.pricing}]}).to_string();
    let source = Source { source: PriceSource::User, origin: "imported", json: &json };
    let Ok(imported) = PriceTable::with(&[source]) else { return false };
    let Some(imported) = imported.table.get(&row.id) else { return true };
    let (ours, theirs) = (model.latest(), imported.latest());
    let tiers = |model: &Model| {
        let tiers = model.latest().tiers.iter();
        tiers.map(|tier| (tier.above_prompt_tokens, tier.prices.rates)).collect::<Vec<_>>()
    };
    ours.prices.rates == theirs.prices.rates && tiers(model) == tiers(imported)
}

/// Shows what changes, and writes it unless it is only to be shown.
fn finish(
    file: &ModelsFile,
    changes: &[(String, Change)],
    action: &str,
    dry_run: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if !dry_run && !changes.is_empty() {
        file.save()?;
    }
    let path = file.path().display().to_string();
    let words = match changes.len() {
        0 if !file.exists() => "No models.json in this project: the built-in prices hold".to_owned(),
        0 => format!("{}: nothing to change", Printable(&path)),
        _ if dry_run => format!("{}: not written (--dry-run)", Printable(&path)),
        n_changes => format!("{}: {} written", Printable(&path), counted(n_changes, "change")),
    };
    report(&words, action, "", changes, file, context)
}

fn report(
    words: &str,
    action: &str,
    id: &str,
    changes: &[(String, Change)],
    file: &ModelsFile,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if context.global.json {
        let changes: Vec<Value> = changes
            .iter()
            .map(|(id, change)| json!({"id": id, "key": change.key, "from": change.from, "to": change.to}))
            .collect();
        let path = file.path().display().to_string();
        let id = if id.is_empty() { Value::Null } else { json!(id) };
        context.print_json(&json!({
            "schema": "cmat.models.change/1", "action": action, "id": id, "path": path, "changes": changes,
        }))?;
        return Ok(Exit::Done);
    }
    for (id, change) in changes {
        writeln!(context.out, "  {}  {change}", Printable(id))?;
    }
    writeln!(context.out, "{words}")?;
    Ok(Exit::Done)
}

fn project_file(context: &Context<'_>) -> anyhow::Result<ModelsFile> {
    Ok(ModelsFile::open(&models_file::project_path(&context.config.project.root))?)
}

fn number(rate: Rate) -> anyhow::Result<Value> {
    Ok(Value::Number(serde_json::from_str::<Number>(&rate.displayed())?))
}
