//! How a model id is spelled: what clouds, routers and clients put around a model's name, taken off.
//!
//! The shapes are those of the price reference, section 4, and of `fixtures/known-ids.txt`. Nothing is guessed:
//! what is left must equal a name of a price table to count as that model.

/// Vendor prefixes that stand before `claude-` without a dot.
const VENDORS: [&str; 2] = ["databricks-", "anthropic-"];
/// Endings that change neither the model nor its price.
const NEUTRAL_ENDINGS: [&str; 7] = ["[1m]", "[2m]", "-latest", "-think", "-thinking", "@default", "@latest"];

/// A model id, and the same with more and more of its wrapping taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    /// The id as found, then after each removal; the later ones are lowercase.
    pub(super) forms: Vec<String>,
    /// What was removed to come from each form to the next.
    pub(super) removed: Vec<String>,
    /// The date that was removed, as eight digits.
    date: Option<String>,
    /// The id asks for fast mode (`-fast`).
    pub(super) fast: bool,
    /// The id asks for a batch (`:batch`).
    pub(super) batch: bool,
}

/// Returns the name of the model that an id means, whatever it is wrapped in: `claude-sonnet-4-5` for
/// `us.anthropic.claude-sonnet-4-5-20250929-v1:0` and for `claude-sonnet-4-5[1m]`.
pub fn model_name(id: &str) -> String {
    let spelling = Spelling::of(id);
    spelling.name().unwrap_or_else(|| spelling.bare().to_owned())
}

impl Spelling {
    /// Takes `id` apart.
    pub(super) fn of(id: &str) -> Self {
        let id = id.trim();
        let mut spelling =
            Self { forms: vec![id.to_owned()], removed: Vec::new(), date: None, fast: false, batch: false };
        spelling.lowercase();
        spelling.remove_prefixes();
        while spelling.remove_ending() {}
        spelling
    }

    /// Returns the family and version in one order and with dashes, the date after it if the id has one:
    /// `claude-opus-4-5`, `claude-sonnet-3-5-20241022`.
    pub(super) fn dated_name(&self) -> Option<String> {
        let name = self.name()?;
        Some(format!("{name}-{}", self.date.as_ref()?))
    }

    /// Returns the family and version in one order and with dashes: `claude-4.0-opus` is `claude-opus-4`.
    pub(super) fn name(&self) -> Option<String> {
        let words: Vec<&str> = self.bare().strip_prefix("claude-")?.split(['-', '.']).collect();
        let (family, version) = match words[..] {
            [family] if !is_number(family) => (family, &[][..]),
            [family, ref version @ ..] if !is_number(family) => (family, version),
            [ref version @ .., family] if !is_number(family) => (family, version),
            _ => return None,
        };
        match version {
            [major] | [major, "0"] if is_number(major) => Some(format!("claude-{family}-{major}")),
            [major, minor] if is_number(major) && is_number(minor) => {
                Some(format!("claude-{family}-{major}-{minor}"))
            }
            _ => None,
        }
    }

    /// Returns whether the id, its wrapping taken off, claims to be a Claude model.
    pub(super) fn is_claude(&self) -> bool {
        self.forms.iter().any(|form| form.starts_with("claude-"))
    }

    /// Returns the id with everything taken off.
    fn bare(&self) -> &str {
        self.forms.last().map_or("", String::as_str)
    }

    fn lowercase(&mut self) {
        let lower = self.bare().to_ascii_lowercase();
        if lower != self.bare() {
            self.step(lower, String::new());
        }
    }

    fn step(&mut self, form: String, removed: String) {
        self.forms.push(form);
        self.removed.push(removed);
    }

    fn remove_prefixes(&mut self) {
        let form = self.bare();
        let path = form.rfind('/').map_or(0, |slash| slash + 1);
        let name = &form[path..];
        let vendor = VENDORS
            .iter()
            .find(|vendor| name.starts_with(**vendor))
            .map(|vendor| vendor.len())
            .or_else(|| cloud_prefix(name));
        let prefix = path + vendor.unwrap_or(0);
        if prefix > 0 && form[prefix..].starts_with("claude-") {
            let (removed, rest) = (form[..prefix].to_owned(), form[prefix..].to_owned());
            self.step(rest, removed);
        }
    }

    fn remove_ending(&mut self) -> bool {
        let form = self.bare();
        let Some(cut) = self.ending(form) else { return false };
        let (rest, removed) = (form[..cut].to_owned(), form[cut..].to_owned());
        self.fast |= removed == "-fast";
        self.batch |= removed == ":batch";
        if let Some(date) = date(&removed) {
            self.date = Some(date);
        }
        self.step(rest, removed);
        true
    }

    /// Returns where the last removable part of `form` begins.
    fn ending(&self, form: &str) -> Option<usize> {
        if let Some(ending) = NEUTRAL_ENDINGS.iter().chain(&["-fast"]).find(|end| form.ends_with(**end)) {
            return Some(form.len() - ending.len());
        }
        if let Some(at) = revision(form) {
            return Some(at);
        }
        if let Some(at) = form.rfind(':').filter(|at| is_tag(&form[at + 1..])) {
            return Some(at);
        }
        // One date only: `claude-opus-5-20260724-20260725` is no name that anybody gave.
        if self.date.is_some() || !form.is_ascii() {
            return None;
        }
        [11, 9]
            .into_iter()
            .filter_map(|length| form.len().checked_sub(length))
            .find(|at| date(&form[*at..]).is_some())
    }
}

/// Returns the length of `anthropic.` or `<geo>.anthropic.` at the start of `name`.
fn cloud_prefix(name: &str) -> Option<usize> {
    let end = name.find("anthropic.")?;
    let geo = name[..end].strip_suffix('.');
    let is_geo = |geo: &str| {
        let geo = geo.strip_suffix("-gov").unwrap_or(geo);
        (2..=8).contains(&geo.len()) && geo.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    (end == 0 || geo.is_some_and(is_geo)).then_some(end + "anthropic.".len())
}

/// Returns where `-v1` or `-v1:0` begins; in `claude-v2:1` it is the model's own version.
fn revision(form: &str) -> Option<usize> {
    let at = form.rfind("-v").filter(|at| form[..*at] != *"claude")?;
    let revision = &form[at + "-v".len()..];
    let (major, minor) = revision.split_once(':').unwrap_or((revision, "0"));
    (is_number(major) && is_number(minor)).then_some(at)
}

/// Returns the eight digits of `-YYYYMMDD`, `@YYYYMMDD`, `-YYYY-MM-DD` or `@YYYY-MM-DD`.
fn date(ending: &str) -> Option<String> {
    let text = ending.strip_prefix(['-', '@'])?;
    let parts: Vec<&str> = text.split('-').collect();
    let well_formed = match parts[..] {
        [day] => day.len() == 8,
        [year, month, day] => year.len() == 4 && month.len() == 2 && day.len() == 2,
        _ => false,
    };
    let digits = parts.concat();
    (well_formed && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// A version number has one or two digits (three in `-v100`, which nobody uses); eight are a date.
fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A router's tag (`thinking`, `batch`, `beta`), a revision (`0`) or a window (`18k`).
fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, name: Option<&str>, dated: Option<&str>, removed: &[&str]) {
        let spelling = Spelling::of(id);
        assert_eq!(spelling.name().as_deref(), name, "name of {id}");
        assert_eq!(spelling.dated_name().as_deref(), dated, "dated name of {id}");
        let found: Vec<&str> =
            spelling.removed.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        assert_eq!(found, removed, "removed from {id}");
    }

    #[test]
    fn takes_the_wrapping_off() {
        check("claude-opus-5-5", Some("claude-opus-5-5"), None, &[]);
        check(
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            Some("claude-opus-4-5"),
            Some("claude-opus-4-5-20251101"),
            &["us.anthropic.", "-v1:0", "-20251101"],
        );
        check(
            "claude-3-5-sonnet-v2@20241022[1M]",
            Some("claude-sonnet-3-5"),
            Some("claude-sonnet-3-5-20241022"),
            &["[1m]", "@20241022", "-v2"],
        );
        check(
            "replicate/anthropic/claude-4.5-haiku",
            Some("claude-haiku-4-5"),
            None,
            &["replicate/anthropic/"],
        );
        check("anthropic.claude-v2:1", None, None, &["anthropic.", ":1"]);
        check("claude-sonnet-4-0", Some("claude-sonnet-4"), None, &[]);
    }

    #[test]
    fn guesses_nothing() {
        for id in
            ["claude-opus-4-8-custom", "claude-opus-5x", "my-claude-opus-5", "claude-fable-5-2-1", "opus", ""]
        {
            check(id, None, None, &[]);
        }
        check("claude-opus-4-80", Some("claude-opus-4-80"), None, &[]);
        check("\u{1F980}claude-é-20250101", None, None, &[]);
    }

    #[test]
    fn sees_what_the_id_says_of_the_price() {
        let fast = Spelling::of("openrouter/anthropic/claude-opus-4.8-fast");
        assert!(fast.fast && !fast.batch);
        let batch = Spelling::of("anthropic/claude-opus-4.8:batch");
        assert!(batch.batch && !batch.fast);
    }

    #[test]
    fn knows_a_claude_model_by_its_bare_name() {
        assert!(Spelling::of("us.anthropic.claude-nova-9").is_claude());
        assert!(!Spelling::of("my-claude-opus-5").is_claude());
        assert!(!Spelling::of("gpt-5").is_claude());
    }
}
