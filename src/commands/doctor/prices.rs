//! Are the price tables sound and current, and does each model that was used have its own row.

use crate::commands::chain;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::ledger::LedgerError;
use crate::ledger::health::Gap;
use crate::models_file;
use crate::models_file::ModelsFileError;
use crate::pricing::Loaded;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::Reason;
use crate::pricing::Terms;
use crate::pricing::TokenKind;
use crate::printable::Printable;
use crate::report::counted;

const MATCHED: &str = "model matched";
const WITHOUT_ROW: &str = "model without row";
const WITHOUT_PRICE: &str = "model without price";

pub(super) fn checks(site: &Site<'_>) -> Result<Vec<Check>, LedgerError> {
    let loaded = models_file::load(Some(&site.config.project.root), Some(&site.config.user_dir));
    let mut checks = vec![readable(&loaded, site)];
    let built_in = PriceTable::built_in();
    let table = loaded.as_ref().map_or(built_in, |loaded| &loaded.table);
    checks.push(far_off(table, site));
    checks.push(current(table, site));
    match &site.ledger {
        Some(ledger) => {
            checks.push(matched(table, &ledger.models(Gap::Any)?));
            checks.push(without_row(table, WITHOUT_ROW, &ledger.models(Gap::Estimated)?));
            checks.push(without_row(table, WITHOUT_PRICE, &ledger.models(Gap::Unpriced)?));
        }
        None => checks.extend([MATCHED, WITHOUT_ROW, WITHOUT_PRICE].map(Check::nothing_yet)),
    }
    Ok(checks)
}

fn readable(loaded: &Result<Loaded, ModelsFileError>, site: &Site<'_>) -> Check {
    const NAME: &str = "models.json";
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(fault) => {
            let detail = format!("{}; the built-in prices are used", chain(fault));
            return Check::failed(NAME, detail, "mend the file there, then: cmat reprice");
        }
    };
    if let Some(first) = loaded.warnings.first() {
        let more = match loaded.warnings.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        return Check::attention(NAME, format!("{first}{more}"), "cmat models check");
    }
    let default = Printable(loaded.table.get_default().id.as_str()).to_string();
    let project = models_file::project_path(&site.config.project.root);
    let own = [project, models_file::user_path(&site.config.user_dir)];
    let own: Vec<_> = own.iter().filter(|path| path.exists()).map(|path| site.shown(path)).collect();
    match own.as_slice() {
        [] => Check::good(NAME, format!("the built-in prices, default {default}")),
        own => Check::good(NAME, format!("{}, default {default}", own.join(", "))),
    }
}

/// Prices three times off the list are obeyed, but pointed out.
fn far_off(table: &PriceTable, site: &Site<'_>) -> Check {
    const NAME: &str = "prices near list";
    match table.off_list_rows(site.now).first() {
        None => Check::good(NAME, "no row is 3 × off the list price"),
        Some(row) => Check::attention(NAME, row.to_string(), "cmat models update --dry-run"),
    }
}

/// Rows of the project or the user that differ from the list, though not by much: a contract, or an old price.
fn current(table: &PriceTable, site: &Site<'_>) -> Check {
    const NAME: &str = "prices current";
    let terms = Terms::standard(site.now);
    let own = table.list_all().iter().filter(|model| model.source != PriceSource::BuiltIn);
    let differs = |id: &&str| {
        let (Some(found), Some(listed)) =
            (table.get_by_pattern(id), PriceTable::built_in().get_by_pattern(id))
        else {
            return false;
        };
        let (price, _) = table.price(&found, &terms, 0);
        let (list, _) = PriceTable::built_in().price(&listed, &terms, 0);
        let stated = TokenKind::ALL.into_iter().filter(|kind| !price.derived.contains(kind));
        stated.into_iter().any(|kind| price.rates.of(kind) != list.rates.of(kind))
    };
    let differing: Vec<_> = own.map(|model| model.id.as_str()).filter(differs).collect();
    match differing.as_slice() {
        [] => Check::good(NAME, "no row differs from the list price of today"),
        [first, ..] => {
            let detail = format!(
                "{} off the list price, such as {}",
                counted(differing.len(), "row"),
                Printable(first)
            );
            Check::attention(NAME, detail, "cmat models update --dry-run")
        }
    }
}

/// A pattern that is too wide takes models for others.
fn matched(table: &PriceTable, used: &[(String, u64)]) -> Check {
    let built_in = PriceTable::built_in();
    let wrong = used.iter().find_map(|(model, _)| {
        let found = table.get_by_pattern(model)?;
        let by_pattern =
            matches!(found.reason, Reason::Pattern(_)) && found.model.source != PriceSource::BuiltIn;
        let row = built_in.get_by_pattern(found.model.id.as_str())?;
        let meant = built_in.get_by_pattern(model)?;
        (by_pattern && row.model.id != meant.model.id).then(|| (model, found.model.id.as_str().to_owned()))
    });
    match wrong {
        None => Check::good(MATCHED, format!("{}, each by its own row", counted(used.len(), "model"))),
        Some((model, row)) => Check::attention(
            MATCHED,
            format!("{} takes the price of {}, whose pattern is too wide", Printable(model), Printable(&row)),
            format!("cmat models which {}", Printable(model)),
        ),
    }
}

/// Models that requests name and no table had a row for: estimated at the default's price, or not priced at all.
fn without_row(table: &PriceTable, name: &'static str, models: &[(String, u64)]) -> Check {
    let Some((model, n)) = models.first() else { return Check::good(name, "none") };
    let (model, n) = (Printable(model).to_string(), counted(*n, "request"));
    let more = match models.len() {
        1 => String::new(),
        n => format!(" (and {} more)", counted(n - 1, "model")),
    };
    let fix = match table.get_by_pattern(&models[0].0) {
        Some(_) => "cmat reprice".to_owned(),
        None => format!("cmat models add {model} --input USD --output USD, then: cmat reprice"),
    };
    Check::attention(name, format!("{model}, {n}{more}"), fix)
}
