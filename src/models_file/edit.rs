//! Changes to the text of a models.json, in the form that it has: a list of rows, or an object of rows by id.

use std::fmt;

use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::json_edit::Document;
use crate::json_edit::Object;
use crate::json_edit::Value;
use crate::pricing::Warning;
use crate::printable::Printable;

/// A file without rows: what a new one begins as. Prices that it does not state stay the built-in ones.
pub(super) const EMPTY: &str = "{\n  \"version\": \"1.0\",\n  \"models\": []\n}\n";

/// Why a file cannot be changed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A row has the id already.
    #[error("it has a row `{}` already; `cmat models remove` removes it", Printable(id))]
    Exists {
        /// The id.
        id: String,
    },
    /// No row has the id.
    #[error("it has no row `{}`", Printable(id))]
    NotFound {
        /// The id.
        id: String,
    },
    /// The row is the default, and others would remain.
    #[error("`{}` is its default; choose another one first: `cmat models set-default`", Printable(id))]
    IsDefault {
        /// The id.
        id: String,
    },
    /// The changed file would have a row that cannot be used.
    #[error("the change would not be usable: {fault}")]
    Refused {
        /// What would be wrong.
        fault: Box<Warning>,
    },
}

/// A row to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// Its id.
    pub id: String,
    /// Name for people; `None`: the id.
    pub name: Option<String>,
    /// What the model is for.
    pub description: Option<String>,
    /// Regex or glob for ids; `None`: the id itself, with any date.
    pub pattern: Option<String>,
    /// Longest answer.
    pub max_tokens: Option<u64>,
    /// `pricing`, in USD per million tokens, with the optional keys if there are any.
    pub pricing: Map<String, Json>,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The pricing key, such as `input`.
    pub key: String,
    /// What the file says, as JSON; `None`: nothing.
    pub from: Option<String>,
    /// What it is to say, as JSON.
    pub to: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.as_deref().unwrap_or("nothing");
        write!(f, "{} {} → {}", Printable(&self.key), Printable(from), Printable(&self.to))
    }
}

/// Returns whether a row has this id.
pub(super) fn has_row(document: &Document, id: &str) -> bool {
    row(document, id).is_some()
}

/// Makes `id` the default. In a list its row is marked, and no other; an object, and a list that has no such
/// row, names it in `default_model`.
pub(super) fn set_default(document: &Document, id: &str) -> Result<String, EditError> {
    let root = root(document)?;
    let mut edits = document.edits();
    let rows = rows(document);
    let is_row = rows.iter().any(|row| row.id == id);
    if is_list(document) {
        for row in &rows {
            let marked = row.object.get("is_default").map(|value| value.text() == "true");
            match (row.id == id, marked) {
                (true, Some(true)) | (false, None | Some(false)) => {}
                (is_default, _) => edits.set_members(row.object, &[("is_default", json!(is_default))]),
            }
        }
    }
    if !is_list(document) || !is_row || root.get("default_model").is_some() {
        edits.set_members(root, &[("default_model", json!(id))]);
    }
    Ok(edits.apply())
}

/// Adds a row at the end.
pub(super) fn add(document: &Document, new: &NewRow) -> Result<String, EditError> {
    if has_row(document, &new.id) {
        return Err(EditError::Exists { id: new.id.clone() });
    }
    let mut row = Map::new();
    row.insert("name".into(), json!(new.name.as_ref().unwrap_or(&new.id)));
    row.insert("description".into(), json!(new.description.as_deref().unwrap_or_default()));
    let models = root(document)?.get("models");
    let mut edits = document.edits();
    if let Some(list) = models.and_then(|models| models.as_array()) {
        row.shift_insert(0, "id".into(), json!(new.id));
        let pattern = new.pattern.clone().unwrap_or_else(|| dated_pattern(&new.id));
        row.insert("pattern".into(), json!(pattern));
        row.extend(new.max_tokens.map(|tokens| ("max_tokens".to_owned(), json!(tokens))));
        row.insert("is_default".into(), json!(false));
        row.insert("pricing".into(), json!(new.pricing));
        edits.push_elements(list, &[row.into()]);
    } else if let Some(object) = models.and_then(|models| models.as_object()) {
        row.insert("api_id".into(), json!(new.id));
        row.extend(new.pattern.clone().map(|pattern| ("pattern".to_owned(), json!(pattern))));
        row.extend(new.max_tokens.map(|tokens| ("max_tokens".to_owned(), json!(tokens))));
        let mut pricing = Map::new();
        pricing.insert("currency".into(), json!("USD"));
        pricing.insert("per_tokens".into(), json!(1_000_000));
        pricing.extend(new.pricing.clone());
        row.insert("pricing".into(), pricing.into());
        edits.set_members(object, &[(&new.id, row.into())]);
    }
    Ok(edits.apply())
}

/// Removes a row; the default only as the last one, for what else would be the default would be chance.
pub(super) fn remove(document: &Document, id: &str) -> Result<String, EditError> {
    let rows = rows(document);
    let Some(position) = rows.iter().position(|row| row.id == id) else {
        return Err(EditError::NotFound { id: id.to_owned() });
    };
    let root = root(document)?;
    let named = root.get("default_model").is_some_and(|value| value.as_str().as_deref() == Some(id));
    let marked = rows[position].object.get("is_default").is_some_and(|value| value.text() == "true");
    if (named || marked) && rows.len() > 1 {
        return Err(EditError::IsDefault { id: id.to_owned() });
    }
    let mut edits = document.edits();
    let models = root.get("models");
    if let Some(list) = models.and_then(|models| models.as_array()) {
        edits.remove_elements(list, &[rows[position].place]);
    } else if let Some(object) = models.and_then(|models| models.as_object()) {
        edits.remove_members(object, &[id]);
    }
    if named {
        edits.remove_members(root, &["default_model"]);
    }
    Ok(edits.apply())
}

/// Sets those of `wanted` that a row's `pricing` says otherwise or not at all.
pub(super) fn set_pricing(
    document: &Document,
    id: &str,
    wanted: &Map<String, Json>,
) -> Result<(String, Vec<Change>), EditError> {
    let row = row(document, id).ok_or_else(|| EditError::NotFound { id: id.to_owned() })?;
    let pricing = row.object.get("pricing").and_then(|pricing| pricing.as_object());
    let stated = |key: &str| pricing.and_then(|pricing| pricing.get(key));
    let mut members: Vec<(&str, Json)> = Vec::new();
    if stated("per_tokens").is_some_and(|value| !is_same(&value, &json!(1_000_000))) {
        members.push(("per_tokens", json!(1_000_000)));
    }
    let differs = |(key, value): &(&String, &Json)| !stated(key).is_some_and(|found| is_same(&found, value));
    members.extend(wanted.iter().filter(differs).map(|(key, value)| (key.as_str(), value.clone())));
    let changes = members.iter().map(|(key, value)| Change {
        key: (*key).to_owned(),
        from: stated(key).map(|value| value.text().to_owned()),
        to: value.to_string(),
    });
    let changes = changes.collect();
    let mut edits = document.edits();
    match pricing {
        _ if members.is_empty() => {}
        Some(pricing) => edits.set_members(pricing, &members),
        None => edits.set_members(row.object, &[("pricing", json!(wanted))]),
    }
    Ok((edits.apply(), changes))
}

/// Returns a regex for the id with any date: what the built-in rows have.
fn dated_pattern(id: &str) -> String {
    let is_date = |date: &&str| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let name = id.rsplit_once('-').filter(|(_, date)| is_date(date)).map_or(id, |(name, _)| name);
    format!(r"{}(-\d{{8}})?$", regex::escape(name).replace(r"\-", "-"))
}

/// A row where it stands.
struct Row<'doc> {
    id: String,
    /// Its place among the elements, rows without an id counted too.
    place: usize,
    object: Object<'doc>,
}

fn root(document: &Document) -> Result<Object<'_>, EditError> {
    // Only a price table is opened for a change, and that is an object.
    document.root().as_object().ok_or_else(|| EditError::NotFound { id: "models".to_owned() })
}

fn is_list(document: &Document) -> bool {
    document.root().get("models").is_some_and(|models| models.as_array().is_some())
}

fn row<'doc>(document: &'doc Document, id: &str) -> Option<Row<'doc>> {
    rows(document).into_iter().find(|row| row.id == id)
}

fn rows(document: &Document) -> Vec<Row<'_>> {
    let Some(models) = document.root().get("models") else { return Vec::new() };
    let text = |value: Value<'_>| value.as_str().map(std::borrow::Cow::into_owned);
    let in_list = models.as_array().into_iter().flat_map(|list| list.elements());
    let listed = in_list.enumerate().filter_map(|(place, row)| {
        let object = row.as_object()?;
        Some(Row { id: text(object.get("id")?)?, place, object })
    });
    let in_object = models.as_object().into_iter().flat_map(|object| object.entries());
    let keyed = in_object.enumerate().filter_map(|(place, entry)| {
        Some(Row { id: text(entry.key)?, place, object: entry.value.as_object()? })
    });
    listed.chain(keyed).collect()
}

/// Returns whether both mean the same: `3` is `3.00`.
fn is_same(found: &Value<'_>, wanted: &Json) -> bool {
    serde_json::from_str(found.text()).is_ok_and(|found: Json| same(&found, wanted))
}

fn same(found: &Json, wanted: &Json) -> bool {
    match (found, wanted) {
        (Json::Number(found), Json::Number(wanted)) => {
            let decimal = |number: &serde_json::Number| number.to_string().parse::<Decimal>().ok();
            found == wanted || decimal(found).is_some_and(|found| Some(found) == decimal(wanted))
        }
        (Json::Array(found), Json::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| same(found, wanted))
        }
        (Json::Object(found), Json::Object(wanted)) => {
            found.len() == wanted.len()
                && wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| same(found, wanted)))
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../../fixtures/models/list.json");
    const OBJECT: &str = include_str!("../../fixtures/models/object.json");

    /// Shows the lines that `edit` changes.
    fn diff(before: &str, edit: impl FnOnce(&Document) -> Result<String, EditError>) -> String {
        let after = match edit(&Document::parse(before).unwrap()) {
            Ok(after) => after,
            Err(error) => return error.to_string(),
        };
        let diff = similar::TextDiff::from_lines(before, &after);
        let changes = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
        changes.map(|change| format!("{}{change}", change.tag())).collect()
    }

    fn new_row(pattern: Option<&str>) -> NewRow {
        NewRow {
            id: "claude-new-6-20270101".into(),
            name: Some("Claude New 6".into()),
            description: None,
            pattern: pattern.map(str::to_owned),
            max_tokens: Some(8192),
            pricing: serde_json::from_str(r#"{"input": 5.00, "output": 25.00}"#).unwrap(),
        }
    }

    #[test]
    fn marks_the_default_of_a_list() {
        insta::assert_snapshot!(diff(LIST, |file| set_default(file, "claude-opus-4-5-20251101")), @r#"
        -      "is_default": true,
        +      "is_default": false,
        -      "is_default": false,
        +      "is_default": true,
        "#);
        insta::assert_snapshot!(diff(LIST, |file| set_default(file, "claude-sonnet-4-20250514")), @"");
        insta::assert_snapshot!(diff(LIST, |file| set_default(file, "claude-opus-5-5")), @r#"
        -      "is_default": true,
        +      "is_default": false,
        -  "version": "1.0"
        +  "version": "1.0",
        +  "default_model": "claude-opus-5-5"
        "#);
    }

    #[test]
    fn names_the_default_of_an_object_and_of_a_new_file() {
        insta::assert_snapshot!(diff(OBJECT, |file| set_default(file, "claude-opus-4.5")), @r#"
        -  "default_model": "claude-sonnet-4.5",
        +  "default_model": "claude-opus-4.5",
        "#);
        insta::assert_snapshot!(diff(EMPTY, |file| set_default(file, "claude-opus-5-5")), @r#"
        -  "models": []
        +  "models": [],
        +  "default_model": "claude-opus-5-5"
        "#);
    }

    #[test]
    fn adds_a_row_in_the_form_of_the_file() {
        insta::assert_snapshot!(diff(LIST, |file| add(file, &new_row(None))), @r#"
        +    },
        +    {
        +      "id": "claude-new-6-20270101",
        +      "name": "Claude New 6",
        +      "description": "",
        +      "pattern": "claude-new-6(-\\d{8})?$",
        +      "max_tokens": 8192,
        +      "is_default": false,
        +      "pricing": {
        +        "input": 5.00,
        +        "output": 25.00
        +      }
        "#);
        insta::assert_snapshot!(diff(OBJECT, |file| add(file, &new_row(Some("*new-6*")))), @r#"
        +    },
        +    "claude-new-6-20270101": {
        +      "name": "Claude New 6",
        +      "description": "",
        +      "api_id": "claude-new-6-20270101",
        +      "pattern": "*new-6*",
        +      "max_tokens": 8192,
        +      "pricing": {
        +        "currency": "USD",
        +        "per_tokens": 1000000,
        +        "input": 5.00,
        +        "output": 25.00
        +      }
        "#);
        insta::assert_snapshot!(diff(LIST, |file| {
            add(file, &NewRow { id: "claude-sonnet-4-20250514".into(), ..new_row(None) })
        }), @"it has a row `claude-sonnet-4-20250514` already; `cmat models remove` removes it");
    }

    #[test]
    fn removes_a_row_but_not_the_default_among_others() {
        insta::assert_snapshot!(diff(LIST, |file| remove(file, "claude-opus-4-5-20251101")), @r#"
        -    },
        -    {
        -      "id": "claude-opus-4-5-20251101",
        -      "name": "Claude Opus 4.5",
        -      "description": "Most capable model",
        -      "pattern": "claude-opus-4-.*",
        -      "max_tokens": 8192,
        -      "is_default": false,
        -      "pricing": {
        -        "input": 15.00,
        -        "output": 75.00,
        -        "cache_write": 18.75,
        -        "cache_read": 1.50
        -      }
        "#);
        insta::assert_snapshot!(diff(LIST, |file| remove(file, "claude-sonnet-4-20250514")), @"`claude-sonnet-4-20250514` is its default; choose another one first: `cmat models set-default`");
        insta::assert_snapshot!(diff(OBJECT, |file| remove(file, "claude-opus-4.5")), @r#"
        -    "claude-opus-4.5": {
        -      "name": "Claude Opus 4.5",
        -      "api_id": "claude-opus-4-5-20251101",
        -      "pattern": "*opus-4.5*|*opus-4-5*",
        -      "max_tokens": 64000,
        -      "pricing": {
        -        "currency": "USD",
        -        "per_tokens": 1000000,
        -        "input": 5.00,
        -        "output": 25.00,
        -        "cache_write": 6.25,
        -        "cache_read": 0.50
        -      }
        -    },
        "#);
        insta::assert_snapshot!(diff(OBJECT, |file| remove(file, "claude-9")), @"it has no row `claude-9`");
    }

    #[test]
    fn sets_only_the_prices_that_differ() {
        let wanted: Map<String, Json> = serde_json::from_str(
            r#"{"input": 5, "output": 25.0, "cache_write": 18.750, "cache_write_1h": 10, "tiers": []}"#,
        )
        .unwrap();
        insta::assert_snapshot!(diff(LIST, |file| {
            set_pricing(file, "claude-opus-4-5-20251101", &wanted).map(|(text, _)| text)
        }), @r#"
        -        "input": 15.00,
        -        "output": 75.00,
        +        "input": 5,
        +        "output": 25.0,
        -        "cache_read": 1.50
        +        "cache_read": 1.50,
        +        "cache_write_1h": 10,
        +        "tiers": []
        "#);
        let document = Document::parse(LIST).unwrap();
        let (_, changes) = set_pricing(&document, "claude-opus-4-5-20251101", &wanted).unwrap();
        let changes: Vec<String> = changes.iter().map(Change::to_string).collect();
        assert_eq!(
            changes,
            ["input 15.00 → 5", "output 75.00 → 25.0", "cache_write_1h nothing → 10", "tiers nothing → []"]
        );
        let (text, changes) = set_pricing(&document, "claude-sonnet-4-20250514", &Map::new()).unwrap();
        assert_eq!((text.as_str(), changes), (LIST, Vec::new()));
    }
}
