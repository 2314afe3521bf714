//! Pieces of JSON as lenient as the programs that read transcripts: of a repeated key the last value holds, and a
//! value of another kind than expected counts as absent. Strings borrow from the line unless they hold an escape.
//!
//! It never builds a tree: what nobody asked for is skipped without recursion, however deep it is.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// The key under which `serde_json` hands over a number whose digits are kept as text: any but 64-bit integers.
const NUMBER: &str = "$serde_json::private::Number";

/// How many entries of a list are kept: no answer took more than a few steps, and a hostile line may list millions.
const MAX_LISTED: usize = 256;

/// A scalar, as far as a transcript's line needs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Leaf<'line> {
    /// Missing, `null`, `false`, a number, an object or a list with something in it.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'line, str>),
    /// `true`.
    True,
    /// `[]`.
    EmptyList,
}

impl<'line> Leaf<'line> {
    /// Returns the string, if it is one and not blank.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.trim_ascii().is_empty() => Some(text),
            _ => None,
        }
    }
}

/// An object with the fields of `S`; any other kind of value is `None`. Boxed, because it is moved several times.
#[derive(Debug)]
pub(super) struct Object<S>(pub(super) Option<Box<S>>);

impl<S> Default for Object<S> {
    fn default() -> Self {
        Self(None)
    }
}

/// The first [`MAX_LISTED`] entries of a list; any other kind of value is an empty one.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What a person or a tool said to the model: a string, or the text of the first block of a list.
#[derive(Debug, Default)]
pub(super) struct Prompt<'line>(pub(super) Leaf<'line>);

/// Fields of an object, set one by one in the order of the line.
pub(super) trait Shape<'line>: Default {
    /// Takes the value of `key` from `object`, or skips it.
    fn set<A: MapAccess<'line>>(&mut self, key: &str, object: &mut A) -> Result<(), A::Error>;
}

/// Declares a struct that reads the named keys of an object and leaves the others to another shape, or to nobody.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)* $(..$rest:ident: $rest_type:ty)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name<'line> {
            $(pub(super) $field: $type,)*
            $(pub(super) $rest: $rest_type,)?
        }

        impl<'line> $crate::transcript::json::Shape<'line> for $name<'line> {
            fn set<A: serde::de::MapAccess<'line>>(&mut self, key: &str, object: &mut A) -> Result<(), A::Error> {
                match key {
                    $($key => self.$field = object.next_value()?,)*
                    _ => shape!(@rest self key object $($rest)?),
                }
                Ok(())
            }
        }
    };
    (@rest $self:ident $key:ident $object:ident) => {{
        $object.next_value::<serde::de::IgnoredAny>()?;
    }};
    (@rest $self:ident $key:ident $object:ident $rest:ident) => {
        $self.$rest.set($key, $object)?
    };
}
pub(super) use shape;

/// A visitor's answers for the kinds of value that it does not want.
macro_rules! absent {
    ($($kind:ident)*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        $(absent!(@$kind);)*
    };
    (@bool) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@null) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@text) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (@list) => {
        fn visit_seq<A: SeqAccess<'line>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (@object) => {
        // Numbers that are no 64-bit integers come here too, see `NUMBER`.
        fn visit_map<A: MapAccess<'line>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

impl<'line> Deserialize<'line> for Leaf<'line> {
    fn deserialize<D: Deserializer<'line>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'line> Visitor<'line> for Visit {
            type Value = Leaf<'line>;
            absent!(null object);

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(if value { Leaf::True } else { Leaf::Absent })
            }

            fn visit_borrowed_str<E>(self, text: &'line str) -> Result<Self::Value, E> {
                Ok(Leaf::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Leaf::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'line>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut leaf = Leaf::EmptyList;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    leaf = Leaf::Absent;
                }
                Ok(leaf)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

impl<'line, S: Shape<'line>> Deserialize<'line> for Object<S> {
    fn deserialize<D: Deserializer<'line>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<S>(PhantomData<S>);
        impl<'line, S: Shape<'line>> Visitor<'line> for Visit<S> {
            type Value = Object<S>;
            absent!(bool null text list);

            fn visit_map<A: MapAccess<'line>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut shape = Box::<S>::default();
                let mut is_number = false;
                while let Some(Key(key)) = object.next_key()? {
                    is_number |= key == NUMBER;
                    shape.set(&key, &mut object)?;
                }
                Ok(Object((!is_number).then_some(shape)))
            }
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

impl<'line, T: Deserialize<'line>> Deserialize<'line> for List<T> {
    fn deserialize<D: Deserializer<'line>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'line, T: Deserialize<'line>> Visitor<'line> for Visit<T> {
            type Value = List<T>;
            absent!(bool null text object);

            fn visit_seq<A: SeqAccess<'line>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while entries.len() < MAX_LISTED {
                    match list.next_element()? {
                        Some(entry) => entries.push(entry),
                        None => return Ok(List(entries)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(entries))
            }
        }
        deserializer.deserialize_any(Visit(PhantomData))
    }
}

impl<'line> Deserialize<'line> for Prompt<'line> {
    fn deserialize<D: Deserializer<'line>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'line> Visitor<'line> for Visit {
            type Value = Prompt<'line>;
            absent!(bool null object);

            fn visit_borrowed_str<E>(self, text: &'line str) -> Result<Self::Value, E> {
                Ok(Prompt(Leaf::Text(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Prompt(Leaf::Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'line>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element::<Object<Block<'line>>>()?.unwrap_or_default();
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Prompt(first.0.map(|block| block.text).unwrap_or_default()))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

shape! {
    /// A block of a message's content.
    Block {
        text: Leaf<'line> = "text",
    }
}

/// A key of an object.
struct Key<'line>(Cow<'line, str>);

impl<'line> Deserialize<'line> for Key<'line> {
    fn deserialize<D: Deserializer<'line>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'line> Visitor<'line> for Visit {
            type Value = Key<'line>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'line str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}
