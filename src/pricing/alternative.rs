//! Which other models of a price table somebody may think of instead of one: the newest of its family, and the newest
//! of the next smaller one.

use crate::pricing::row::Model;
use crate::pricing::spelling::model_name;
use crate::pricing::table::PriceTable;

/// Families from the largest to the smallest.
const FAMILIES: [&str; 4] = ["fable", "opus", "sonnet", "haiku"];

/// The first version whose tokenizer counts more tokens for the same text (the price reference, rule 13).
const NEW_TOKENIZER: (u32, u32) = (4, 7);

/// How a model differs from the one that it stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kinship {
    /// It is the newest of the same family.
    Newer,
    /// It is the newest of the next smaller family.
    Smaller,
}

/// What the same text counts on another model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tokenizer {
    /// As many tokens.
    Same,
    /// About 30 % more.
    More,
    /// Fewer: about 10 where the other counts 13.
    Fewer,
}

/// A model that could do the work of another.
#[derive(Debug, Clone)]
pub struct Alternative<'table> {
    /// Its row.
    pub model: &'table Model,
    /// How it differs.
    pub kinship: Kinship,
    /// What the same text counts on it.
    pub tokenizer: Tokenizer,
}

impl PriceTable {
    /// Returns the newest model of a family, as people call it for short: `haiku`.
    pub fn newest_of(&self, family: &str) -> Option<&Model> {
        let family = family.trim().to_ascii_lowercase();
        let wanted = FAMILIES.iter().position(|known| *known == family)?;
        self.newest(wanted).map(|(_, model)| model)
    }

    fn newest(&self, wanted: usize) -> Option<((u32, u32), &Model)> {
        let of_family = self.list_all().iter().filter_map(|model| {
            let (family, version) = family_and_version(model.id.as_str())?;
            (family == wanted).then_some((version, model))
        });
        // Of rows with the same version the first is the one that is asked.
        of_family.fold(None, |greatest: Option<((u32, u32), &Model)>, next| {
            greatest.filter(|greatest| greatest.0 >= next.0).or(Some(next))
        })
    }

    /// Returns the alternatives to the model of a row; none for a model whose name says neither family nor version.
    pub fn alternatives(&self, row: &str) -> Vec<Alternative<'_>> {
        let Some((family, version)) = family_and_version(row) else { return Vec::new() };
        let newest = |wanted: usize, kinship: Kinship| {
            let (newest, model) = self.newest(wanted)?;
            let tokenizer = match (version >= NEW_TOKENIZER, newest >= NEW_TOKENIZER) {
                (false, true) => Tokenizer::More,
                (true, false) => Tokenizer::Fewer,
                _ => Tokenizer::Same,
            };
            let is_other = newest > version || kinship == Kinship::Smaller;
            is_other.then_some(Alternative { model, kinship, tokenizer })
        };
        [newest(family, Kinship::Newer), newest(family + 1, Kinship::Smaller)].into_iter().flatten().collect()
    }
}

fn family_and_version(id: &str) -> Option<(usize, (u32, u32))> {
    let name = model_name(id);
    let mut words = name.strip_prefix("claude-")?.split('-');
    let family = words.next()?;
    let family = FAMILIES.iter().position(|known| *known == family)?;
    let major = words.next()?.parse().ok()?;
    let minor = words.next().map_or(Some(0), |minor| minor.parse().ok())?;
    Some((family, (major, minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, expected: &[(&str, Kinship, Tokenizer)]) {
        let table = PriceTable::built_in();
        let found = table.alternatives(row);
        let found: Vec<(&str, Kinship, Tokenizer)> =
            found.iter().map(|other| (other.model.id.as_str(), other.kinship, other.tokenizer)).collect();
        assert_eq!(found, expected, "{row}");
    }

    #[test]
    fn the_newest_of_the_family_and_of_the_next_smaller_one() {
        let opus = ("claude-opus-5-5", Kinship::Newer);
        let sonnet = ("claude-sonnet-5-5", Kinship::Smaller);
        check("claude-opus-4-8", &[(opus.0, opus.1, Tokenizer::Same), (sonnet.0, sonnet.1, Tokenizer::Same)]);
        check(
            "claude-opus-4-5-20251101",
            &[(opus.0, opus.1, Tokenizer::More), (sonnet.0, sonnet.1, Tokenizer::More)],
        );
        check("claude-opus-5-5", &[(sonnet.0, sonnet.1, Tokenizer::Same)]);
        check("claude-haiku-5-5", &[]);
        check("claude-3-haiku-20240307", &[("claude-haiku-5-5", Kinship::Newer, Tokenizer::More)]);
        check("glm-4.5-air", &[]);
        check("claude-instant-1.2", &[]);
    }
}
