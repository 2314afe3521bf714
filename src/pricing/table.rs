//! The price table: rows of the project, then the user, then the list prices, and which row an id means.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use crate::pricing::parse::PricingError;
use crate::pricing::parse::Warning;
use crate::pricing::parse::parse;
use crate::pricing::pattern::PatternKind;
use crate::pricing::row::Model;
use crate::pricing::row::PriceSource;
use crate::pricing::spelling::Spelling;

/// The list prices that cmat ships with.
pub const BUILT_IN_JSON: &str = include_str!("../../models.json");

static BUILT_IN: LazyLock<PriceTable> = LazyLock::new(|| {
    let built_in = Source { source: PriceSource::BuiltIn, origin: "models.json", json: BUILT_IN_JSON };
    let loaded = PriceTable::assemble(&[built_in]);
    loaded.expect("a test reads the shipped models.json").table
});

/// The text of a models.json and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'text> {
    /// Whose file it is.
    pub source: PriceSource,
    /// Its path, for errors and warnings.
    pub origin: &'text str,
    /// Its text.
    pub json: &'text str,
}

/// A price table and what of its files is not used.
#[derive(Debug)]
pub struct Loaded {
    /// The table.
    pub table: PriceTable,
    /// Rows left out and other faults, in the order of the files.
    pub warnings: Vec<Warning>,
}

/// Why an id means a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is the row's id.
    Id,
    /// It is one of the row's other ids (`api_id`, `aliases`).
    Alias,
    /// It names the row's family and version, with another date or in another order.
    Name,
    /// The row's pattern matches it.
    Pattern(PatternKind),
    /// No row matches: it is the default model's price.
    Default,
}

/// The row that an id means, and why.
#[derive(Debug, Clone)]
pub struct Match<'table> {
    /// The row.
    pub model: &'table Model,
    /// Why this row.
    pub reason: Reason,
    /// What had to be removed from the id first, such as `us.anthropic.` and `-v1:0`.
    pub removed: Vec<String>,
    /// The id itself asks for fast mode (`-fast`).
    pub fast: bool,
    /// The id itself asks for a batch (`:batch`).
    pub batch: bool,
}

/// All rows in force: a project's, then the user's, then the built-in ones.
#[derive(Debug, Clone)]
pub struct PriceTable {
    models: Vec<Model>,
    sources: Vec<SourceIndex>,
    default: usize,
    /// The built-in default, which answers what a row leaves open (batch, web search).
    list_default: usize,
}

/// How the rows of one source are found.
#[derive(Debug, Clone)]
struct SourceIndex {
    rows: Range<usize>,
    /// Ids and other ids, lowercase.
    exact: HashMap<String, (usize, Reason)>,
    /// Family and version in one spelling, with and without the date.
    names: HashMap<String, usize>,
    /// Rows with a pattern, the one with most literal characters first.
    by_pattern: Vec<usize>,
}

impl PriceTable {
    /// Returns the list prices that cmat ships with; read once, when first asked for.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Returns the table of these files, in their order, and of the built-in prices behind them.
    ///
    /// # Errors
    ///
    /// [`PricingError`] if a file is no price table at all. A row that cannot be used is only a warning.
    pub fn with(sources: &[Source<'_>]) -> Result<Loaded, PricingError> {
        if sources.is_empty() {
            return Ok(Loaded { table: Self::built_in().clone(), warnings: Vec::new() });
        }
        let built_in = Source { source: PriceSource::BuiltIn, origin: "models.json", json: BUILT_IN_JSON };
        Self::assemble(&[sources, &[built_in]].concat())
    }

    fn assemble(sources: &[Source<'_>]) -> Result<Loaded, PricingError> {
        let mut warnings = Vec::new();
        let mut table = Self { models: Vec::new(), sources: Vec::new(), default: 0, list_default: 0 };
        let mut wanted = Vec::new();
        for source in sources {
            let parsed = parse(source.source, source.origin, source.json)?;
            warnings.extend(parsed.warnings);
            let rows = table.models.len()..table.models.len() + parsed.models.len();
            table.models.extend(parsed.models);
            table.sources.push(SourceIndex::new(&table.models, rows));
            wanted.push((source.origin, parsed.default_model));
        }
        let mut defaults = Vec::new();
        for (index, (origin, wanted)) in table.sources.iter().zip(&wanted) {
            let named = wanted.as_ref().and_then(|id| table.position(id));
            if let (None, Some(id)) = (named, wanted) {
                let (origin, found) = ((*origin).to_owned(), format!("{id:?}"));
                warnings.push(Warning::NoSuchDefault { origin, found });
            }
            defaults.extend(named.or_else(|| index.default(&table.models)));
        }
        table.default = defaults.first().copied().unwrap_or_default();
        table.list_default = defaults.last().copied().unwrap_or_default();
        for (n, model) in table.models.iter_mut().enumerate() {
            model.is_default = n == table.default;
        }
        Ok(Loaded { table, warnings })
    }

    /// Returns every row, in the order in which they are asked; a later row with the same id is never reached.
    pub fn list_all(&self) -> &[Model] {
        &self.models
    }

    /// Returns the row with this id, or with this as another of its ids.
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.position(id).map(|row| &self.models[row])
    }

    /// Returns the default model: the first file that has rows or names one decides.
    pub fn get_default(&self) -> &Model {
        &self.models[self.default]
    }

    /// Returns the row that a model id of a transcript means, if there is one.
    ///
    /// File by file: an id that equals, as found or without what clouds and routers put around it; then the same
    /// family and version; then the matching pattern with most literal characters, the earlier row at a tie.
    pub fn get_by_pattern(&self, model_id: &str) -> Option<Match<'_>> {
        self.find(&Spelling::of(model_id))
    }

    /// Returns the row that an id is priced by: its own, else for a Claude model the default's.
    pub fn find_or_default(&self, model_id: &str) -> Option<Match<'_>> {
        if let Some(found) = self.find_as_written(model_id) {
            return Some(found);
        }
        let spelling = Spelling::of(model_id);
        self.find(&spelling).or_else(|| {
            let removed = spelling.forms.len() - 1;
            spelling.is_claude().then(|| self.found(self.default, Reason::Default, &spelling, removed))
        })
    }

    /// Returns the built-in default model.
    pub(super) fn list_default(&self) -> &Model {
        &self.models[self.list_default]
    }

    /// Returns the row that is asked first and has this very id, if nothing in the id means more than a name: what nearly
    /// every request names, without taking it apart.
    fn find_as_written(&self, model_id: &str) -> Option<Match<'_>> {
        if model_id.contains("-fast") || model_id.contains(':') {
            return None;
        }
        let (row, reason) = self.sources.first()?.exact.get(model_id)?;
        let (model, removed) = (&self.models[*row], Vec::new());
        Some(Match { model, reason: *reason, removed, fast: false, batch: false })
    }

    fn find(&self, spelling: &Spelling) -> Option<Match<'_>> {
        // Nearly every id is found without them.
        let names = LazyCell::new(|| [spelling.dated_name(), spelling.name()]);
        self.sources.iter().find_map(|source| {
            for (n, form) in spelling.forms.iter().enumerate() {
                if let Some((row, reason)) = source.exact.get(form.to_ascii_lowercase().as_str()) {
                    return Some(self.found(*row, *reason, spelling, n));
                }
            }
            let named = names.iter().flatten().find_map(|name| source.names.get(name));
            if let Some(row) = named {
                return Some(self.found(*row, Reason::Name, spelling, spelling.forms.len() - 1));
            }
            source.by_pattern.iter().find_map(|row| {
                let pattern = self.models[*row].pattern.as_ref()?;
                let n = spelling.forms.iter().position(|form| pattern.matches(form))?;
                Some(self.found(*row, Reason::Pattern(pattern.kind()), spelling, n))
            })
        })
    }

    fn found(&self, row: usize, reason: Reason, spelling: &Spelling, n_removed: usize) -> Match<'_> {
        let removed = spelling.removed[..n_removed].iter().filter(|part| !part.is_empty());
        Match {
            model: &self.models[row],
            reason,
            removed: removed.cloned().collect(),
            fast: spelling.fast,
            batch: spelling.batch,
        }
    }

    fn position(&self, id: &str) -> Option<usize> {
        let id = id.trim().to_ascii_lowercase();
        self.sources.iter().find_map(|source| source.exact.get(&id)).map(|(row, _)| *row)
    }
}

impl SourceIndex {
    fn new(models: &[Model], rows: Range<usize>) -> Self {
        let mut exact = HashMap::new();
        let mut names = HashMap::new();
        let ids = rows.clone().map(|row| (row, Reason::Id, models[row].id.as_str()));
        let aliases = rows.clone().flat_map(|row| {
            models[row].aliases.iter().map(move |alias| (row, Reason::Alias, alias.as_str()))
        });
        for (row, reason, id) in ids.chain(aliases) {
            exact.entry(id.to_ascii_lowercase()).or_insert((row, reason));
            let spelling = Spelling::of(id);
            for name in [spelling.dated_name(), spelling.name()].into_iter().flatten() {
                names.entry(name).or_insert(row);
            }
        }
        let mut by_pattern: Vec<usize> = rows.clone().filter(|row| models[*row].pattern.is_some()).collect();
        let literal = |row: &usize| models[*row].pattern.as_ref().map_or(0, |pattern| pattern.literal());
        by_pattern.sort_by_key(|row| std::cmp::Reverse(literal(row)));
        Self { rows, exact, names, by_pattern }
    }

    /// Returns the row marked as default, else the first one.
    fn default(&self, models: &[Model]) -> Option<usize> {
        self.rows.clone().find(|row| models[*row].is_default).or_else(|| self.rows.clone().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide's table, the CMAT 8.5 table, and one with dates.
    const LIST: &str = include_str!("../../fixtures/models/list.json");
    const OBJECT: &str = include_str!("../../fixtures/models/object.json");

    fn project(json: &str) -> Loaded {
        PriceTable::with(&[Source { source: PriceSource::Project, origin: "models.json", json }]).unwrap()
    }

    #[test]
    fn every_known_id_means_the_model_that_it_names() {
        let table = PriceTable::built_in();
        let mut n_ids = 0;
        for line in include_str!("../../fixtures/known-ids.txt").lines().filter(|line| !line.starts_with('#'))
        {
            let (expected, id) = line.split_once('\t').unwrap();
            let found = table.get_by_pattern(id).map_or("-", |found| found.model.id.as_str());
            assert_eq!(found, expected, "{id}");
            n_ids += 1;
        }
        assert_eq!(n_ids, 884);
    }

    #[test]
    fn an_id_that_is_found_as_it_is_written_means_the_same_when_it_is_taken_apart() {
        let own = project(
            r#"{"models":[{"id":"claude-opus-4-8-fast","pricing":{"input":1,"output":2}},
                          {"id":"Claude-Sonnet-4-5","aliases":["claude-haiku-4-5:batch"],"pricing":{"input":1,"output":2}}]}"#,
        );
        let ids =
            include_str!("../../fixtures/known-ids.txt").lines().filter_map(|line| line.split_once('\t'));
        let ids = ids.map(|(_, id)| id).chain([
            "claude-opus-4-8-fast",
            "claude-haiku-4-5:batch",
            "CLAUDE-SONNET-4-5",
        ]);
        let mut n_found = 0;
        for id in ids {
            for table in [PriceTable::built_in(), &own.table] {
                let Some(found) = table.find_as_written(id) else { continue };
                assert_eq!(format!("{found:?}"), format!("{:?}", table.get_by_pattern(id).unwrap()), "{id}");
                n_found += 1;
            }
        }
        assert!(n_found > 30, "{n_found}");
    }

    #[test]
    fn known_ids_need_no_regex() {
        let table = PriceTable::built_in();
        for line in
            include_str!("../../fixtures/known-ids.txt").lines().filter(|line| !line.starts_with(['#', '-']))
        {
            let found = table.get_by_pattern(line.split_once('\t').unwrap().1).unwrap();
            assert!(!matches!(found.reason, Reason::Pattern(_)), "{line}");
        }
    }

    #[test]
    fn the_shipped_patterns_do_without_the_names() {
        for model in PriceTable::built_in().list_all() {
            let pattern = model.pattern.as_ref().unwrap();
            pattern.compile().unwrap();
            assert!(pattern.matches(model.id.as_str()), "{}", model.id);
            let others = PriceTable::built_in().list_all().iter().filter(|other| other.id != model.id);
            for other in others.filter(|other| pattern.matches(other.id.as_str())) {
                let theirs = other.pattern.as_ref().unwrap();
                assert!(theirs.literal() > pattern.literal(), "{} also matches {}", model.id, other.id);
            }
        }
    }

    #[track_caller]
    fn check(table: &PriceTable, id: &str, expected: Option<(&str, Reason, &[&str])>) {
        let found = table.get_by_pattern(id);
        let found = found.as_ref().map(|found| {
            let removed: Vec<&str> = found.removed.iter().map(String::as_str).collect();
            (found.model.id.as_str(), found.reason, removed)
        });
        assert_eq!(found, expected.map(|(row, reason, removed)| (row, reason, removed.to_vec())), "{id}");
    }

    #[test]
    fn a_projects_rows_come_first_and_the_longest_literal_wins() {
        let Loaded { table, warnings } = project(LIST);
        assert_eq!(warnings, []);
        let by_regex = Reason::Pattern(PatternKind::Regex);
        check(&table, "claude-sonnet-4-20250514", Some(("claude-sonnet-4-20250514", Reason::Id, &[])));
        check(&table, "claude-sonnet-4-0", Some(("claude-sonnet-4-20250514", Reason::Name, &[])));
        check(&table, "claude-opus-4-8", Some(("claude-opus-4-5-20251101", by_regex, &[])));
        check(
            &table,
            "us.anthropic.claude-opus-4-6-v1[1m]",
            Some(("claude-opus-4-5-20251101", by_regex, &["us.anthropic."])),
        );
        check(&table, "claude-opus-5-5", Some(("claude-opus-5-5", Reason::Id, &[])));
        assert_eq!(table.get("claude-opus-5-5").unwrap().source, PriceSource::BuiltIn);
        assert_eq!(table.get_default().id.as_str(), "claude-sonnet-4-20250514");
    }

    #[test]
    fn reads_the_object_form() {
        let Loaded { table, warnings } = project(OBJECT);
        assert_eq!(warnings, []);
        let by_glob = Reason::Pattern(PatternKind::Glob);
        check(&table, "claude-opus-4-5-20251101", Some(("claude-opus-4.5", Reason::Alias, &[])));
        check(&table, "claude-opus-4.5", Some(("claude-opus-4.5", Reason::Id, &[])));
        check(
            &table,
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            Some(("claude-opus-4.5", Reason::Alias, &["us.anthropic.", "-v1:0"])),
        );
        check(&table, "router/opus-4-5-preview", Some(("claude-opus-4.5", by_glob, &[])));
        assert_eq!(table.get_default().id.as_str(), "claude-sonnet-4.5");
    }

    #[test]
    fn an_application_profile_can_be_mapped_by_its_own_name() {
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        check(PriceTable::built_in(), arn, None);
        let json = format!(r#"{{"models":[{{"id":"{arn}","pricing":{{"input":1,"output":2}}}}]}}"#);
        check(&project(&json).table, arn, Some((arn, Reason::Id, &[])));
    }

    #[test]
    fn a_file_may_name_a_default_that_it_does_not_have() {
        let Loaded { table, warnings } = project(r#"{"default_model":"claude-haiku-5-5","models":[]}"#);
        assert_eq!(warnings, []);
        assert_eq!(table.get_default().id.as_str(), "claude-haiku-5-5");
        assert_eq!(table.list_all().iter().filter(|model| model.is_default).count(), 1);
        let Loaded { table, warnings } = project(r#"{"default_model":"claude-9","models":[]}"#);
        assert_eq!(
            warnings[0].to_string(),
            "`models.json`: `default_model` is \"claude-9\", which no price table has"
        );
        assert_eq!(table.get_default().id.as_str(), "claude-opus-5-5");
    }

    #[test]
    fn an_unknown_claude_model_takes_the_default_and_no_other_does() {
        let table = PriceTable::built_in();
        let found = table.find_or_default("us.anthropic.claude-nova-9").unwrap();
        assert_eq!((found.model.id.as_str(), found.reason), ("claude-opus-5-5", Reason::Default));
        assert!(table.find_or_default("gpt-5").is_none());
        assert!(table.find_or_default("my-claude-opus-5").is_none());
    }

    #[test]
    fn the_users_rows_come_after_the_projects() {
        let row = |input| {
            format!(r#"{{"models":[{{"id":"claude-opus-5-5","pricing":{{"input":{input},"output":1}}}}]}}"#)
        };
        let (project, user) = (row(1), row(2));
        let sources = [
            Source { source: PriceSource::Project, origin: "p", json: &project },
            Source { source: PriceSource::User, origin: "u", json: &user },
        ];
        for (sources, expected) in [
            (&sources[..], PriceSource::Project),
            (&sources[1..], PriceSource::User),
            (&[], PriceSource::BuiltIn),
        ] {
            let table = PriceTable::with(sources).unwrap().table;
            assert_eq!(table.get("claude-opus-5-5").unwrap().source, expected);
        }
    }
}
