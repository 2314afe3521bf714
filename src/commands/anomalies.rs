//! `cmat anomalies`: sessions and hours far above the others, and caches that stopped hitting.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

use crate::anomaly;
use crate::anomaly::ENOUGH_HOURS;
use crate::anomaly::ENOUGH_SESSIONS;
use crate::anomaly::MissCounter;
use crate::anomaly::Misses;
use crate::booking::Books;
use crate::cache_use;
use crate::cache_use::Thread;
use crate::cache_use::Threads;
use crate::cli::AnomaliesArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::ledger::LedgerError;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::Period;
use crate::period::Unit;
use crate::query;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Group;
use crate::query::Key;
use crate::report::anomaly_sheet;
use crate::report::anomaly_sheet::Finding;
use crate::report::anomaly_sheet::What;
use crate::summary::Totals;

pub(super) fn run(args: &AnomaliesArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let selection = context.recent_selection(&args.selection, &books)?;
    let calendar = context.config.calendar.clone();
    let filter = &selection.filter;
    // What is asked for is held against all that came before it too, and nothing that came later.
    let known = Filter { period: Period { begins: Timestamp::MIN, ..filter.period }, ..filter.clone() };
    let sessions = books.ledger.groups(&known, &[Dimension::Agent, Dimension::Session], &calendar)?;
    let hours = books.ledger.groups(&known, &[Dimension::Time(Unit::Hour), Dimension::Session], &calendar)?;
    let mut findings = Vec::new();
    let mut too_few = dear_sessions(&sessions, filter.period.begins, args.min, &mut findings);
    too_few.extend(dear_hours(&hours, filter.period.begins, args.min, &mut findings));
    findings.extend(cold_caches(filter, args.min, &books, &calendar)?);
    leave_out_hours_of_one(&mut findings);
    findings.sort_by(|a, b| (b.first, &a.session, &a.agent).cmp(&(a.first, &b.session, &b.agent)));
    let totals = query::whole(sessions.iter().filter(|group| group.last >= filter.period.begins));
    if context.global.json {
        let asked = context.asked(filter, selection.days);
        let billing = context.config.billing;
        context.print_json(&anomaly_sheet::document(&findings, &too_few, &totals, &asked, billing))?;
    } else {
        write!(context.out, "{}", anomaly_sheet::render(&findings, &calendar))?;
        match (findings.is_empty(), selection.days) {
            (false, _) => {}
            (true, _) if totals == Totals::default() => {
                complain("no requests are recorded that this asks for");
            }
            (true, Some(days)) => writeln!(context.out, "nothing stands out ({days})")?,
            (true, None) => writeln!(context.out, "nothing stands out")?,
        }
        for few in &too_few {
            complain(few);
        }
    }
    context.remark(&totals);
    Ok(context.certain_exit(&totals))
}

/// Finds sessions far above the others of their agent; returns of which agents there are too few.
fn dear_sessions(groups: &[Group], begins: Timestamp, min: Usd, found: &mut Vec<Finding>) -> Vec<String> {
    let mut by_agent: BTreeMap<&Key, Vec<&Group>> = BTreeMap::new();
    for group in groups {
        by_agent.entry(&group.keys[0]).or_default().push(group);
    }
    let mut too_few = Vec::new();
    for (agent, sessions) in by_agent {
        let costs: Vec<Usd> = sessions.iter().map(|group| group.totals.cost.total()).collect();
        match anomaly::far_above(&costs, ENOUGH_SESSIONS, min) {
            Ok(dear) => found.extend(
                dear.into_iter()
                    .map(|(n, fence)| (sessions[n], fence))
                    .filter(|(group, _)| group.last >= begins)
                    .map(|(group, fence)| Finding {
                        first: group.first,
                        last: group.last,
                        session: name(&group.keys[1]),
                        agent: name(agent),
                        what: What::DearSession { totals: group.totals.clone(), fence },
                    }),
            ),
            Err(n) if sessions.iter().any(|group| group.last >= begins) => {
                too_few.push(anomaly_sheet::too_few_sessions(name(agent).as_deref(), n));
            }
            Err(_) => {}
        }
    }
    too_few
}

/// Finds hours far above the others, each with its dearest session; returns whether there are too few.
fn dear_hours(groups: &[Group], begins: Timestamp, min: Usd, found: &mut Vec<Finding>) -> Option<String> {
    let mut hours: BTreeMap<Timestamp, Vec<&Group>> = BTreeMap::new();
    for group in groups {
        if let Key::Begins(at) = group.keys[0] {
            hours.entry(at).or_default().push(group);
        }
    }
    let hours: Vec<(Timestamp, Vec<&Group>)> = hours.into_iter().collect();
    let costs: Vec<Usd> =
        hours.iter().map(|(_, parts)| parts.iter().map(|group| group.totals.cost.total()).sum()).collect();
    let dear = match anomaly::far_above(&costs, ENOUGH_HOURS, min) {
        Ok(dear) => dear,
        Err(n) => {
            return (hours.iter().any(|(at, _)| *at >= begins)).then(|| anomaly_sheet::too_few_hours(n));
        }
    };
    for (n, fence) in dear {
        let (at, parts) = &hours[n];
        let dearest = parts.iter().max_by_key(|group| group.totals.cost.total());
        let Some(dearest) = dearest.filter(|_| *at >= begins) else { continue };
        found.push(Finding {
            first: *at,
            last: parts.iter().map(|group| group.last).max().unwrap_or(*at),
            session: name(&dearest.keys[1]),
            agent: None,
            what: What::DearHour {
                totals: query::whole(parts.iter().copied()),
                n_sessions: parts.len(),
                of_session: dearest.totals.cost.total(),
                fence,
            },
        });
    }
    None
}

/// Leaves out an hour that is dear because of one session, which is found itself.
fn leave_out_hours_of_one(findings: &mut Vec<Finding>) {
    let is_session = |finding: &&Finding| matches!(finding.what, What::DearSession { .. });
    let sessions: BTreeSet<Option<String>> =
        findings.iter().filter(is_session).map(|finding| finding.session.clone()).collect();
    findings.retain(|finding| match &finding.what {
        What::DearHour { totals, of_session, .. } => {
            let is_of_one = *of_session + *of_session > totals.cost.total();
            !(is_of_one && sessions.contains(&finding.session))
        }
        _ => true,
    });
}

/// Finds rows of requests that did not read what the cache held for them.
fn cold_caches(
    filter: &Filter,
    min: Usd,
    books: &Books,
    calendar: &Calendar,
) -> Result<Vec<Finding>, LedgerError> {
    let prices = books.ledger.prices()?;
    let told = [Dimension::Session, Dimension::Agent];
    let mut threads = Threads::default();
    let mut counters: HashMap<Thread, (Option<String>, MissCounter)> = HashMap::new();
    let mut found: Vec<(Thread, Option<String>, Misses)> = Vec::new();
    books.ledger.each_charge(filter, &told, calendar, |charge| {
        if charge.part > 0 || charge.source.is_some() || charge.kind != "message" {
            return Ok::<_, LedgerError>(ControlFlow::Continue(()));
        }
        let thread = Thread {
            session: charge.key(0)?.unwrap_or_default().into_owned(),
            agent_id: charge.agent_id.map(str::to_owned),
            model: charge.model.to_owned(),
        };
        let step = threads.next(&thread, charge.at, &charge.tokens);
        let price = charge.price.and_then(|number| prices.get(&number)).map(|(_, price)| price);
        let extra = match (&step, price) {
            (Some(step), Some(price)) => cache_use::dearer_than_reading(&step.sent_again, price),
            _ => Usd::ZERO,
        };
        let agent = charge.key(1)?.map(|agent| agent.into_owned());
        let (_, counter) =
            counters.entry(thread.clone()).or_insert_with(|| (agent.clone(), MissCounter::default()));
        if let Some(misses) = counter.next(charge.at, step.as_ref(), charge.cost.total(), extra) {
            found.push((thread, agent, misses));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for (thread, (agent, mut counter)) in counters {
        found.extend(counter.end().map(|misses| (thread, agent, misses)));
    }
    let findings = found.into_iter().filter(|(_, _, misses)| misses.extra >= min);
    Ok(findings
        .map(|(thread, agent, misses)| Finding {
            first: misses.first,
            last: misses.last,
            session: Some(thread.session),
            agent,
            what: What::ColdCache { model: thread.model, misses },
        })
        .collect())
}

fn name(key: &Key) -> Option<String> {
    match key {
        Key::Name(name) => Some(name.clone()),
        Key::Begins(_) | Key::Unattributed => None,
    }
}
