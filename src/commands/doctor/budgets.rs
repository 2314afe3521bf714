//! Can the budgets be understood, and does something hold them.

use std::path::Path;

use crate::booking::prices::PriceTables;
use crate::budget::OnExceed;
use crate::claude_settings::Installed;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::commands::installation;
use crate::commands::installation::script::is_executable;
use crate::config::alerts::Alerts;
use crate::config::budgets::Budgets;
use crate::ledger::LedgerError;
use crate::printable::Printable;
use crate::report::counted;

pub(super) fn checks(site: &Site<'_>) -> Result<Vec<Check>, LedgerError> {
    let budgets = Budgets::read(site.config);
    let mut checks = vec![understood(&budgets)];
    checks.extend(cheaper_models(&budgets, site));
    if let Some(fault) = site.config.faults.first() {
        checks.push(Check::failed("configuration", fault, "mend that file: it is left out"));
    }
    checks.extend(alerts(site)?);
    if !budgets.all.is_empty() {
        checks.push(held(site));
    }
    if let Some(ledger) = &site.ledger {
        checks.push(match ledger.audit_fault()? {
            None => Check::good("audit", "its chain is whole"),
            Some(fault) => Check::failed("audit", fault, "look: cmat audit"),
        });
    }
    Ok(checks)
}

/// Is there a price for what sessions are to go on with; nothing where no budget names such a model.
fn cheaper_models(budgets: &Budgets, site: &Site<'_>) -> Option<Check> {
    let mut prices = PriceTables::new(&site.config.user_dir, site.config.unknown_model);
    let mut has_row = |model: &str| prices.row_of(Some(&site.config.project.root), model).is_some();
    let (budget, model) = budgets.all.iter().find_map(|budget| match &budget.on_exceed {
        OnExceed::Downgrade(model) if !has_row(model.as_str()) => Some((budget, model)),
        _ => None,
    })?;
    let (id, model) = (budget.id(), Printable(model.as_str()));
    let detail = format!("{} downgrades to `{model}`, which no price row is for: it blocks", Printable(&id));
    Some(Check::attention("cheaper models", detail, "name another in that file: cmat models list --all"))
}

/// Can alerts be delivered, and were they; nothing where none are asked for.
fn alerts(site: &Site<'_>) -> Result<Option<Check>, LedgerError> {
    const NAME: &str = "alerts";
    let alerts = Alerts::read(site.config);
    if let Some(fault) = alerts.faults.first() {
        return Ok(Some(Check::failed(NAME, fault, "mend that file: no alert goes out by it")));
    }
    let raised = match &site.ledger {
        Some(ledger) => ledger.alerts(0)?,
        None => Vec::new(),
    };
    let fault = raised.iter().find_map(|alert| alert.fault.as_ref());
    Ok(match (alerts.channels.len(), raised.len(), fault) {
        (0, 0, _) => None,
        (n, 0, _) => Some(Check::good(NAME, counted(n, "channel"))),
        (_, n, fault) => {
            let mut detail = format!("{} not delivered yet", counted(n, "alert"));
            if let Some(fault) = fault {
                detail.push_str(&format!(": {fault}"));
            }
            Some(Check::attention(NAME, detail, "cmat budget alerts --deliver"))
        }
    })
}

fn understood(budgets: &Budgets) -> Check {
    const NAME: &str = "budgets";
    match budgets.faults.first() {
        Some(fault) => Check::failed(NAME, fault, "mend that file: this budget is not enforced"),
        None if budgets.all.is_empty() => Check::good(NAME, "none"),
        None => Check::good(NAME, counted(budgets.all.len(), "budget")),
    }
}

/// Do prompts and tools ask cmat, and is the program that they run still there.
fn held(site: &Site<'_>) -> Check {
    const NAME: &str = "enforcement";
    let Some(hooks) = installation::enforcing_hooks(site.config) else {
        return Check::attention(NAME, "budgets are told, but nothing stops at them", "cmat init --enforce");
    };
    for Installed { event, command } in hooks {
        let program = command.split(" hook ").next().unwrap_or_default().trim_matches('\'');
        if !is_executable(Path::new(program)) {
            let detail = format!("{event} runs `{program}`, which is gone: Claude Code goes on without it");
            return Check::failed(NAME, detail, "cmat uninstall --global && cmat init --enforce");
        }
    }
    Check::good(NAME, "before prompts and tools")
}
