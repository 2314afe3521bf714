//! `cmat models check`: what in the price tables is not as its writer may think.

use serde_json::Value;
use serde_json::json;

use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::chain;
use crate::commands::complain;
use crate::ledger::Ledger;
use crate::models_file;
use crate::pricing::Model;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::Reason;
use crate::printable::Printable;
use crate::report::counted;

/// Something that the writer of a price table should look at.
struct Finding {
    code: &'static str,
    message: String,
}

pub(super) fn run(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let config = &context.config;
    let loaded = models_file::load(Some(&config.project.root), Some(&config.user_dir))?;
    let is_broken = !loaded.warnings.is_empty();
    let warnings = loaded.warnings.iter().map(ToString::to_string);
    let mut findings: Vec<Finding> = warnings.map(|message| Finding { code: "not_used", message }).collect();
    for off in loaded.table.off_list_rows(config.now()) {
        let message = format!("{off}; fix: cmat models update --dry-run");
        findings.push(Finding { code: "off_list", message });
    }
    let foreign = loaded.table.list_all().iter().filter(|row| row.source != PriceSource::BuiltIn);
    let foreign: Vec<&Model> = foreign.collect();
    for row in &foreign {
        findings.extend(shadowed(row, &loaded.table));
        findings.extend(too_wide(row, &loaded.table));
    }
    findings.extend(without_row(&loaded.table, context));
    if context.global.json {
        print_json(&foreign, &findings, context)?;
    } else {
        print(&foreign, &findings, context)?;
    }
    Ok(match findings.len() {
        _ if is_broken => Exit::FailedCheck,
        n_findings if n_findings > 0 && context.global.strict => Exit::Uncertain,
        _ => Exit::Done,
    })
}

/// Finds models that the project's requests used and no row is for: they were priced by a guess, or not at all.
fn without_row(table: &PriceTable, context: &Context<'_>) -> Vec<Finding> {
    let config = &context.config;
    let used = match Ledger::open_to_glance(&config.data_dir) {
        Ok(None) => return Vec::new(),
        Ok(Some(ledger)) => ledger.models_in(&config.project.root),
        Err(fault) => Err(fault),
    };
    let used = used.unwrap_or_else(|fault| {
        complain(&format!("the models that were used are not looked at: {}", chain(&fault)));
        Vec::new()
    });
    let without = used.into_iter().filter(|(model, _)| table.get_by_pattern(model).is_none());
    without
        .map(|(model, n)| {
            let model = Printable(&model).to_string();
            let message = format!(
                "no row is for `{model}`, which {} used; fix: cmat models add {model} --input USD --output USD, then: \
                 cmat reprice",
                counted(n, "request")
            );
            Finding { code: "no_row", message }
        })
        .collect()
}

/// Finds a row that not even its own id leads to.
fn shadowed(row: &Model, table: &PriceTable) -> Option<Finding> {
    let found = table.get_by_pattern(row.id.as_str())?;
    let message = format!("row `{}` is never used: `{}` goes before it", row.id, found.model.id);
    (!std::ptr::eq(found.model, row)).then_some(Finding { code: "shadowed", message })
}

/// Finds a pattern that also takes in models whose list price is another than the row's own model has.
fn too_wide(row: &Model, table: &PriceTable) -> Option<Finding> {
    let list = PriceTable::built_in();
    let own = list.get_by_pattern(row.id.as_str())?.model;
    let taken_in = list.list_all().iter().filter(|other| {
        let found = table.get_by_pattern(other.id.as_str());
        let by_pattern = found.is_some_and(|found| {
            std::ptr::eq(found.model, row) && matches!(found.reason, Reason::Pattern(_))
        });
        by_pattern && other.latest().prices.rates != own.latest().prices.rates
    });
    let names: Vec<String> = taken_in.map(|other| other.id.to_string()).collect();
    let pattern = row.pattern.as_ref()?;
    let message = format!(
        "pattern `{}` of `{}` also prices models with another list price: {}",
        Printable(pattern.as_str()),
        row.id,
        names.join(", ")
    );
    (!names.is_empty()).then_some(Finding { code: "too_wide", message })
}

fn print(rows: &[&Model], findings: &[Finding], context: &mut Context<'_>) -> anyhow::Result<()> {
    let width = rows.iter().map(|row| row.id.to_string().chars().count()).max().unwrap_or_default();
    for row in rows {
        let pattern = row.pattern.as_ref();
        let kind = pattern.map_or("id only".to_owned(), |pattern| pattern.kind().to_string());
        let text = pattern.map_or("", |pattern| pattern.as_str());
        writeln!(context.out, "  {:width$}  {kind:7}  {}", row.id.to_string(), Printable(text))?;
    }
    for finding in findings {
        writeln!(context.out, "  !  {}", Printable(&finding.message))?;
    }
    if rows.is_empty() && findings.is_empty() {
        writeln!(context.out, "  ok   the built-in prices are in force; no models.json changes them")?;
    } else if findings.is_empty() {
        writeln!(context.out, "  ok   {} of your own, usable", counted(rows.len(), "row"))?;
    }
    Ok(())
}

fn print_json(rows: &[&Model], findings: &[Finding], context: &mut Context<'_>) -> anyhow::Result<()> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let pattern = row.pattern.as_ref();
            json!({
                "id": row.id,
                "source": row.source,
                "pattern": pattern.map(|pattern| pattern.as_str()),
                "pattern_kind": pattern.map(|pattern| pattern.kind().to_string()),
            })
        })
        .collect();
    let warnings: Vec<Value> =
        findings.iter().map(|found| json!({"code": found.code, "message": found.message})).collect();
    context.print_json(&json!({"schema": "cmat.models.check/1", "rows": rows, "warnings": warnings}))
}
