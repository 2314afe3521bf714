//! Booking is the same whatever comes first: the order of files, of what is appended to them, of bindings.

mod client;
mod corpus;
mod large;
mod left;
mod owners;
mod queue;
mod reread;
mod rooms;

use std::ops::ControlFlow;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::Index;

use self::corpus::Corpus;
use self::corpus::Step;
use self::rooms::Rooms;
use crate::ledger::LedgerError;
use crate::ledger::forget::Forgettable;
use crate::ledger::rows::ChargedRequest;
use crate::ledger::totals::Scope;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::Period;
use crate::query;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::report::Billing;
use crate::report::sheet::Sheet;
use crate::summary::Totals;

/// Reads all files whole, in the order of their names, and assigns the sessions after that.
fn in_order(corpus: &Corpus) -> Rooms {
    let rooms = Rooms::new();
    for (file, bytes) in &corpus.files {
        rooms.write(file, bytes);
        rooms.read(file);
    }
    for session in corpus.sessions() {
        rooms.assign(&session);
    }
    rooms
}

/// Takes the steps as they come, each followed by a question, then whatever they left.
fn in_steps(corpus: &Corpus, steps: &[Step], mut ask: impl FnMut(&Rooms)) -> Rooms {
    let rooms = Rooms::new();
    let files: Vec<(&PathBuf, &Vec<u8>)> = corpus.files.iter().collect();
    let sessions = corpus.sessions();
    for step in steps {
        match step {
            Step::Grow(file, size) => {
                let (file, bytes) = files[file.index(files.len())];
                let size = size.index(bytes.len() + 1).max(rooms.size(file));
                rooms.write(file, &bytes[..size]);
                rooms.read(file);
            }
            Step::Assign(session) => rooms.assign(&sessions[session.index(sessions.len())]),
        }
        ask(&rooms);
    }
    for (file, bytes) in files {
        rooms.write(file, bytes);
        rooms.read(file);
    }
    for session in sessions {
        rooms.assign(&session);
    }
    rooms
}

/// Asks for sums, which what is told later must not be.
fn ask_for_all(rooms: &Rooms, corpus: &Corpus) {
    rooms.summaries(&corpus.sessions());
    rooms.groups(&Filter::ALL, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_files_slices_and_bindings_changes_nothing(
        corpus in corpus::corpus(),
        steps in prop::collection::vec(corpus::step(), 0..12),
    ) {
        let found = in_steps(&corpus, &steps, |rooms| ask_for_all(rooms, &corpus));
        let expected = in_order(&corpus);
        prop_assert_eq!(found.dump(), expected.dump());
        let sessions = corpus.sessions();
        prop_assert_eq!(found.summaries(&sessions), expected.summaries(&sessions));
        // What is derived is what deriving it again gives.
        found.reattribute();
        prop_assert_eq!(found.dump(), expected.dump());
        // Once more, from the first byte: what is there stays there.
        let before = expected.dump();
        for file in corpus.files.keys() {
            expected.touch(file);
            expected.read(file);
        }
        prop_assert_eq!(expected.dump(), before);
    }

    #[test]
    fn what_is_left_after_forgetting_is_what_deriving_it_again_gives(
        corpus in corpus::corpus(),
        (session, day) in (any::<Index>(), 1..5_i8),
    ) {
        let rooms = in_order(&corpus);
        let day = jiff::civil::date(2026, 11, day).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let sessions = corpus.sessions();
        for what in [
            Forgettable::Session(sessions[session.index(sessions.len())].clone()),
            Forgettable::Before(day),
        ] {
            rooms.forget(&what);
            let left = rooms.dump();
            rooms.reattribute();
            prop_assert_eq!(rooms.dump(), left);
        }
    }

    #[test]
    fn every_grouping_adds_up_to_the_whole(
        corpus in corpus::corpus(),
        steps in prop::collection::vec(corpus::step(), 0..12),
        by in prop::sample::subsequence(Dimension::all(), 0..4),
    ) {
        let rooms = in_steps(&corpus, &steps, |rooms| ask_for_all(rooms, &corpus));
        let whole = query::whole(&rooms.groups(&Filter::ALL, &[]));
        prop_assert_eq!((whole.cost.total(), whole.requests), one_by_one(&rooms, &Filter::ALL));
        let groups = rooms.groups(&Filter::ALL, &by);
        prop_assert_eq!(query::whole(&groups), whole);
        for group in groups {
            prop_assert_eq!(asked_for_alone(&rooms, &by, &group.keys), Some(group.totals));
        }
    }

    #[test]
    fn a_budget_counts_each_request_once_however_much_of_it_is_rolled_up(
        corpus in corpus::corpus(),
        steps in prop::collection::vec(corpus::step(), 0..12),
        mut rolled_up in prop::collection::vec(any::<bool>(), 12),
        (day, quarter) in (1..5_i8, 0..3_i8),
    ) {
        let begins = jiff::civil::date(2026, 11, day).at(12, 15 * quarter, 0, 0);
        let begins = begins.to_zoned(TimeZone::UTC).unwrap().timestamp();
        // All periods of budgets begin at a quarter of an hour.
        let since = Filter { period: Period { begins, ..Period::ALL }, ..Filter::ALL };
        let on_main = Condition { dimension: Dimension::Branch, value: Some("main".to_owned()) };
        let on_main = Filter { conditions: vec![on_main], ..Filter::ALL };
        let check = |rooms: &Rooms| {
            for filter in [&Filter::ALL, &on_main, &since] {
                let ledger = &rooms.books.borrow().ledger;
                let spent = ledger.spent(filter, &[]).unwrap().cost;
                let by_day = ledger.spent_by_day(filter, &Calendar::default(), &[]).unwrap();
                assert_eq!(spent, one_by_one(rooms, filter).0, "{filter:?}");
                assert_eq!(spent, by_day.into_iter().map(|(_, cost)| cost).sum(), "{filter:?}");
            }
        };
        let rooms = in_steps(&corpus, &steps, |rooms| {
            check(rooms);
            if rolled_up.pop() == Some(true) {
                rooms.books.borrow().ledger.roll_up_some().unwrap();
                check(rooms);
            }
        });
        check(&rooms);
        let bit_by_bit = rooms.rolled_up();
        rooms.tamper(
            "DELETE FROM rollup; INSERT OR REPLACE INTO stale_rollup SELECT id, -1000000000000000 FROM session",
        );
        prop_assert_eq!(bit_by_bit, rooms.rolled_up());
    }

    #[test]
    fn the_rows_of_a_comparison_add_up_to_what_each_period_was(
        corpus in corpus::corpus(),
        by in prop::sample::subsequence(comparable(), 1..4),
        (cut, n_top) in (0..5_i8, 1..4_usize),
    ) {
        let rooms = in_order(&corpus);
        let cut = jiff::civil::date(2026, 11, cut + 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let within = |period: Period| Filter { period, ..Filter::ALL };
        let now = rooms.groups(&within(Period { begins: cut, ..Period::ALL }), &by);
        let before = rooms.groups(&within(Period { ends: cut, ..Period::ALL }), &by);
        let wholes = (query::whole(&now), query::whole(&before));
        prop_assert_eq!(
            wholes.0.cost.total() + wholes.1.cost.total(),
            query::whole(&rooms.groups(&Filter::ALL, &[])).cost.total()
        );
        let mut sheet = Sheet::new(&by, now, Some(before), &Calendar::default(), Billing::Api);
        sheet.keep_top(n_top);
        let (mut costs, mut costs_before) = (Usd::ZERO, Usd::ZERO);
        for row in &sheet.rows {
            costs += row.totals.cost.total();
            costs_before += row.before.as_ref().unwrap().cost.total();
        }
        prop_assert_eq!((costs, costs_before), (wholes.0.cost.total(), wholes.1.cost.total()));
        prop_assert_eq!((sheet.total.totals, sheet.total.before.unwrap()), wholes);
    }

    #[test]
    fn tasks_sum_to_what_the_requests_cost(corpus in corpus::corpus()) {
        let rooms = in_order(&corpus);
        let books = rooms.books.borrow();
        let mut total = Usd::ZERO;
        for session in corpus.sessions() {
            for (row, _) in books.ledger.tasks_named(&rooms::task_of(&session)).unwrap() {
                let summary = books.ledger.task_summary(row).unwrap();
                let of_models: Usd = summary.models.iter().map(|(_, totals)| totals.cost.total()).sum();
                let of_sessions: Usd = summary.sessions.iter().map(|share| share.totals.cost.total()).sum();
                let explained = books.ledger.explain(Scope::Task(row), None).unwrap().first;
                let of_requests: Usd = explained.iter().map(|request| request.cost()).sum();
                prop_assert_eq!((of_models, of_sessions, of_requests), (summary.cost(), summary.cost(), summary.cost()));
                let requests = explained.iter().filter(|request| !request.not_itemised);
                prop_assert_eq!(requests.count() as u64, summary.totals.requests);
                let whole = books.ledger.totals(Scope::Task(row)).unwrap();
                prop_assert_eq!(whole.unwrap_or_default(), summary.totals);
            }
        }
        for session in corpus.sessions() {
            for (row, _) in books.ledger.tasks_named(&rooms::task_of(&session)).unwrap() {
                let summary = books.ledger.task_summary(row).unwrap();
                prop_assert_eq!(summary.not_itemised.requests, 0);
                total += summary.cost() - summary.not_itemised.cost.total();
            }
        }
        prop_assert_eq!(total, corpus.cost());
    }
}

/// Returns the dimensions that two periods can have in common.
fn comparable() -> Vec<Dimension> {
    let mut dimensions = Dimension::all();
    dimensions.retain(|dimension| !matches!(dimension, Dimension::Time(_)));
    dimensions
}

/// Returns the cost and the number of the requests that pass the filter, request by request.
fn one_by_one(rooms: &Rooms, filter: &Filter) -> (Usd, u64) {
    let (mut cost, mut n_requests) = (Usd::ZERO, 0);
    let add = |charge: &ChargedRequest<'_>| -> Result<ControlFlow<()>, LedgerError> {
        cost += charge.cost.total();
        n_requests += u64::from(charge.part == 0 && charge.kind != "not_itemised");
        Ok(ControlFlow::Continue(()))
    };
    rooms.books.borrow().ledger.each_charge(filter, &[], &Calendar::default(), add).unwrap();
    (cost, n_requests)
}

/// Returns what a group comes to when nothing but it is asked for.
fn asked_for_alone(rooms: &Rooms, by: &[Dimension], keys: &[Key]) -> Option<Totals> {
    let mut filter = Filter::ALL;
    for (dimension, key) in by.iter().zip(keys) {
        let value = match (dimension, key) {
            (Dimension::Time(unit), Key::Begins(at)) => {
                let period = Calendar::default().period(*unit, *at);
                filter.period.begins = filter.period.begins.max(period.begins);
                filter.period.ends = filter.period.ends.min(period.ends);
                continue;
            }
            (_, Key::Name(name)) => Some(name.clone()),
            _ => None,
        };
        filter.conditions.push(Condition { dimension: dimension.clone(), value });
    }
    let totals = rooms.groups(&filter, &[]).pop().map(|group| group.totals);
    let (cost, n_requests) = one_by_one(rooms, &filter);
    assert_eq!(
        totals.as_ref().map(|totals| (totals.cost.total(), totals.requests)),
        Some((cost, n_requests))
    );
    totals
}
