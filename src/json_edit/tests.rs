//! What the three parts do together: examples, then properties against serde_json.

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::json;

use super::*;

fn check_error(bytes: &[u8], expected: &str) {
    assert_eq!(Document::parse(bytes).unwrap_err().to_string(), expected);
}

fn check_set(before: &str, path: &[&str], members: &[(&str, Json)], expected: &str) {
    let document = Document::parse(before).unwrap();
    let object = path.iter().fold(document.root(), |value, key| value.get(key).unwrap());
    let mut edits = document.edits();
    edits.set_members(object.as_object().unwrap(), members);
    assert_eq!(edits.apply(), expected);
}

fn check_removed(before: &str, keys: &[&str], expected: &str) {
    let document = Document::parse(before).unwrap();
    let mut edits = document.edits();
    edits.remove_members(document.root().as_object().unwrap(), keys);
    assert_eq!(edits.apply(), expected);
}

#[test]
fn says_where_and_what_is_missing() {
    check_error(b"", "line 1, column 1: expected a value, found the end of the file");
    check_error(b"{\n  \"a\": 1,\n}", "line 3, column 1: expected a key in double quotes, found `}`");
    check_error(b"{\r\n\"\xC3\xA4\": [1 2]}", "line 2, column 9: expected `,` or `]`, found `2`");
    check_error(b"{\"a\" 1}", "line 1, column 6: expected `:`, found `1`");
    check_error(b"[", "line 1, column 2: expected a value or `]`, found the end of the file");
    check_error(b"{} {}", "line 1, column 4: expected the end of the file, found `{`");
    check_error(b"[01]", "line 1, column 3: expected `,` or `]`, found `1`");
    check_error(b"[1.]", "line 1, column 4: expected a digit, found `]`");
    check_error(b"[-Inf]", "line 1, column 3: expected a digit or `Infinity`, found `I`");
    check_error(b"[nul]", "line 1, column 2: expected a value or `]`, found `n`");
    check_error(br#"["\x"]"#, "line 1, column 4: expected one of `\"\\/bfnrtu` after `\\`, found `x`");
    check_error(br#"["\u12"]"#, "line 1, column 7: expected four hexadecimal digits, found `\"`");
    check_error(
        b"[\"a",
        "line 1, column 4: expected `\"` at the end of the string, found the end of the file",
    );
    check_error(
        b"[\"a\n\"]",
        "line 1, column 4: expected `\"`, or an escape such as `\\n` for a control character, found the end of the line",
    );
    check_error(b"[\x1b]", "line 1, column 2: expected a value or `]`, found `\\u{1b}`");
    check_error(b"[\"\xff\"]", "line 1, column 3: expected UTF-8 text, found bytes that are not UTF-8");
}

#[test]
fn bears_deep_nesting_up_to_its_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = Document::parse(nested(MAX_DEPTH)).unwrap();
    assert_eq!(deep.root().span(), 0..2 * MAX_DEPTH);
    check_error(
        nested(MAX_DEPTH + 1).as_bytes(),
        "line 1, column 10001: expected at most 10000 brackets inside each other, found `[`",
    );
}

#[test]
fn bears_what_python_writes_beyond_the_standard() {
    let text = "\u{FEFF}{\"a\": [NaN, Infinity, -Infinity], \"b\": \"\\ud800\", \"c\": 1e400, \"c\": 2}\r\n";
    let document = Document::parse(text).unwrap();
    let root = document.root();
    let kinds: Vec<_> = root.get("a").unwrap().as_array().unwrap().elements().map(|v| v.kind()).collect();
    assert_eq!(kinds, [Kind::Number; 3]);
    assert_eq!(root.get("b").unwrap().as_str(), None);
    assert_eq!(root.get("c").unwrap().text(), "2");
    check_set(text, &[], &[("c", json!(3))], &text.replace('2', "3"));
}

#[test]
fn finds_keys_with_escapes_and_values_of_every_kind() {
    let document = Document::parse(r#"{"a\/\u00e4":"x\ny","n":null,"t":true}"#).unwrap();
    let root = document.root();
    assert_eq!(root.get("a/ä").unwrap().as_str().unwrap(), "x\ny");
    assert_eq!(root.get("n").unwrap().kind(), Kind::Null);
    assert_eq!(root.get("t").unwrap().kind(), Kind::Bool);
    assert_eq!(root.get("missing"), None);
}

#[test]
fn appends_members_in_the_style_of_their_neighbours() {
    let members = [("b", json!("2")), ("c", json!({"d": [1]}))];
    check_set(r#"{"a":1}"#, &[], &members, r#"{"a":1,"b":"2","c":{"d":[1]}}"#);
    check_set(r#"{"a": 1}"#, &[], &members[..1], r#"{"a": 1, "b": "2"}"#);
    check_set(
        "{\r\n\t\"a\" : 1\r\n}",
        &[],
        &members,
        "{\r\n\t\"a\" : 1,\r\n\t\"b\" : \"2\",\r\n\t\"c\" : {\r\n\t\t\"d\": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}",
    );
    check_set("{}\n", &[], &members[..1], "{\n  \"b\": \"2\"\n}\n");
    check_set(
        "{\n    \"a\": {},\n    \"z\": 0\n}",
        &["a"],
        &[("b", json!(1)), ("c", json!(2))],
        "{\n    \"a\": {\n        \"b\": 1,\n        \"c\": 2\n    },\n    \"z\": 0\n}",
    );
    check_set("{\n  \"a\": [\n    {\"m\": {}}]}", &[], &[("a", json!(null))], "{\n  \"a\": null}");
}

#[test]
fn keeps_an_empty_object_within_its_line() {
    let document = Document::parse("{\n  \"a\": [\n    {\"m\": {}}\n  ]\n}").unwrap();
    let task = document.root().get("a").unwrap().as_array().unwrap().elements().next().unwrap();
    let mut edits = document.edits();
    edits.set_members(task.get("m").unwrap().as_object().unwrap(), &[("x", json!(1)), ("y", json!(2))]);
    assert_eq!(edits.apply(), "{\n  \"a\": [\n    {\"m\": {\"x\": 1, \"y\": 2}}\n  ]\n}");
}

#[test]
fn sets_the_last_of_duplicate_keys_and_removes_them_all() {
    check_set(r#"{"a":1,"b":2,"a":3}"#, &[], &[("a", json!(4))], r#"{"a":1,"b":2,"a":4}"#);
    check_removed(r#"{"a":1,"b":2,"a":3}"#, &["a"], r#"{"b":2}"#);
}

#[test]
fn removes_members_with_their_comma() {
    let text = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}";
    check_removed(text, &["a"], "{\n  \"b\": 2,\n  \"c\": 3\n}");
    check_removed(text, &["b"], "{\n  \"a\": 1,\n  \"c\": 3\n}");
    check_removed(text, &["c"], "{\n  \"a\": 1,\n  \"b\": 2\n}");
    check_removed(text, &["b", "c"], "{\n  \"a\": 1\n}");
    check_removed(text, &["a", "c"], "{\n  \"b\": 2\n}");
    check_removed(text, &["a", "b", "c"], "{}");
    check_removed(text, &["d"], text);
}

#[test]
fn puts_a_value_where_another_stands() {
    let document = Document::parse("{\n  \"a\": [1, 2],\n  \"b\": 3\n}\n").unwrap();
    let mut edits = document.edits();
    edits.replace(document.root().get("a").unwrap(), &json!({"c": null}));
    assert_eq!(edits.apply(), "{\n  \"a\": {\n    \"c\": null\n  },\n  \"b\": 3\n}\n");
}

#[test]
fn says_whether_anything_would_change() {
    let document = Document::parse(r#"{"a": 1, "b": [2]}"#).unwrap();
    let root = document.root().as_object().unwrap();
    let mut edits = document.edits();
    edits.set_members(root, &[]);
    edits.remove_members(root, &["c"]);
    assert!(edits.is_empty());
    edits.remove_members(root, &["b"]);
    assert!(!edits.is_empty());
}

#[test]
fn pushes_and_removes_elements() {
    let document = Document::parse("{\n  \"a\": [\n    1,\n    2\n  ]\n}").unwrap();
    let array = document.root().get("a").unwrap().as_array().unwrap();
    let mut edits = document.edits();
    edits.push_elements(array, &[json!({"b": 3})]);
    assert_eq!(edits.apply(), "{\n  \"a\": [\n    1,\n    2,\n    {\n      \"b\": 3\n    }\n  ]\n}");
    let mut edits = document.edits();
    edits.remove_elements(array, &[0]);
    assert_eq!(edits.apply(), "{\n  \"a\": [\n    2\n  ]\n}");
}

/// How a generated document is written.
#[derive(Debug, Clone, Copy)]
enum Style {
    Compact,
    Pretty(&'static str),
    Windows,
}

fn write(json: &Json, style: Style) -> String {
    let pretty = |indent: &str| {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        serde::Serialize::serialize(json, &mut serializer).unwrap();
        String::from_utf8(out).unwrap()
    };
    match style {
        Style::Compact => json.to_string(),
        Style::Pretty(indent) => pretty(indent),
        Style::Windows => format!("\u{FEFF}{}\r\n", pretty("\t").replace('\n', "\r\n")),
    }
}

fn styles() -> impl Strategy<Value = Style> {
    prop_oneof![
        Just(Style::Compact),
        Just(Style::Pretty("  ")),
        Just(Style::Pretty("    ")),
        Just(Style::Pretty("")),
        Just(Style::Windows),
    ]
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "-?[1-9][0-9]{0,3}\\.[0-9]{1,3}(e-?[1-9])?".prop_map(|text| serde_json::from_str(&text).unwrap()),
        ".{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            objects_of(inner).prop_map(Json::Object),
        ]
    })
}

fn objects_of(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = serde_json::Map<String, Json>> {
    prop::collection::vec(("[a-e\"\\\\ä]{0,2}", inner), 0..6)
        .prop_map(|members| members.into_iter().collect())
}

fn parse_back(text: &str) -> Json {
    serde_json::from_str(text.trim_start_matches('\u{FEFF}')).unwrap()
}

fn same_tree(value: Value<'_>, json: &Json) -> bool {
    match json {
        Json::Object(members) => {
            let object = value.as_object().unwrap();
            object.entries().count() == members.len()
                && members.iter().all(|(key, inner)| same_tree(object.get(key).unwrap(), inner))
        }
        Json::Array(elements) => {
            let found: Vec<_> = value.as_array().unwrap().elements().collect();
            found.len() == elements.len() && found.iter().zip(elements).all(|(v, json)| same_tree(*v, json))
        }
        Json::String(text) => value.as_str().unwrap() == *text,
        scalar => parse_back(value.text()) == *scalar,
    }
}

proptest! {
    #[test]
    fn sees_what_serde_json_sees(json in values(), style in styles()) {
        let document = Document::parse(write(&json, style)).unwrap();
        prop_assert!(same_tree(document.root(), &json));
        prop_assert_eq!(document.edits().apply(), document.text());
    }

    #[test]
    fn accepts_and_refuses_as_serde_json_does(text in "[\\[\\]{}:,\"a1e. \\\\-]{0,12}") {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(Document::parse(text.as_str()).is_ok(), theirs);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _either_way = Document::parse(bytes);
    }

    #[test]
    fn sets_members_as_a_map_does_and_once_is_enough(
        object in objects_of(values()), members in objects_of(values()), style in styles(),
    ) {
        let before = write(&Json::Object(object.clone()), style);
        let members: Vec<_> = members.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let set = |text: &str| {
            let document = Document::parse(text).unwrap();
            let mut edits = document.edits();
            edits.set_members(document.root().as_object().unwrap(), &members);
            edits.apply()
        };
        let mut expected = object;
        expected.extend(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let after = set(&before);
        prop_assert_eq!(parse_back(&after), Json::Object(expected));
        prop_assert_eq!(set(&after), after);
    }

    #[test]
    fn keeps_every_byte_outside_the_value_that_is_set(
        outer in objects_of(values()), inner in objects_of(values()), style in styles(), new in values(),
    ) {
        let mut outer = outer;
        outer.insert("inner".to_owned(), Json::Object(inner));
        let before = write(&Json::Object(outer), style);
        let document = Document::parse(before.as_str()).unwrap();
        let inner = document.root().get("inner").unwrap();
        let mut edits = document.edits();
        edits.set_members(inner.as_object().unwrap(), &[("a", new)]);
        let after = edits.apply();
        prop_assert_eq!(&after[..inner.span().start], &before[..inner.span().start]);
        prop_assert!(after.ends_with(&before[inner.span().end..]));
    }

    #[test]
    fn removes_members_as_a_map_does(
        object in objects_of(values()), keys in prop::collection::vec("[a-e]{0,2}", 0..4), style in styles(),
    ) {
        let document = Document::parse(write(&Json::Object(object.clone()), style)).unwrap();
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let mut edits = document.edits();
        edits.remove_members(document.root().as_object().unwrap(), &keys);
        let expected = object.into_iter().filter(|(key, _)| !keys.contains(&key.as_str())).collect();
        prop_assert_eq!(parse_back(&edits.apply()), Json::Object(expected));
    }

    #[test]
    fn pushes_and_removes_elements_as_a_list_does(
        list in prop::collection::vec(values(), 0..6), new in prop::collection::vec(values(), 0..3),
        removed in prop::collection::vec(0..6_usize, 0..4), style in styles(),
    ) {
        let document = Document::parse(write(&Json::Array(list.clone()), style)).unwrap();
        let array = document.root().as_array().unwrap();
        let mut pushes = document.edits();
        pushes.push_elements(array, &new);
        let mut removals = document.edits();
        removals.remove_elements(array, &removed);
        let kept = list.iter().enumerate().filter(|(n, _)| !removed.contains(n)).map(|(_, v)| v.clone());
        prop_assert_eq!(parse_back(&removals.apply()), kept.collect::<Json>());
        prop_assert_eq!(parse_back(&pushes.apply()), list.iter().chain(&new).cloned().collect::<Json>());
    }
}
