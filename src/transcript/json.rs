//! Pieces of JSON as lenient as the programs that read transcripts: of a repeated key the last value holds, and a
//! value of another kind than expected counts as absent. Strings borrow from the line unless they hold an escape.

use std::borrow::Cow;

use super::parser::Malformed;
use super::parser::Parser;
use super::parser::Text;

/// How many entries of a list are kept: no answer took more than a few steps, and a hostile line may list millions.
const MAX_LISTED: usize = 256;

/// Something that a value may be.
pub(super) trait Value<'line>: Default {
    /// Reads the next value and goes behind it; one of another kind is the default.
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed>;
}

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

/// A value as the line spells it; `None` if it is missing or `null`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spelled<'line>(pub(super) Option<&'line [u8]>);

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
pub(super) struct Prompt<'line>(pub(super) Option<Text<'line>>);

/// Fields of an object, set one by one in the order of the line.
pub(super) trait Shape<'line>: Default {
    /// Reads the next value, which is that of `key`, or skips it.
    fn set(&mut self, key: &[u8], parser: &mut Parser<'line>) -> Result<(), Malformed>;
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
            fn set(
                &mut self,
                key: &[u8],
                parser: &mut $crate::transcript::parser::Parser<'line>,
            ) -> Result<(), $crate::transcript::parser::Malformed> {
                $(if key == $key {
                    self.$field = $crate::transcript::json::Value::parse(parser)?;
                    return Ok(());
                })*
                shape!(@rest self key parser $($rest)?)
            }
        }
    };
    (@rest $self:ident $key:ident $parser:ident) => {
        $parser.skip()
    };
    (@rest $self:ident $key:ident $parser:ident $rest:ident) => {
        $self.$rest.set($key, $parser)
    };
}
pub(super) use shape;

impl<'line> Value<'line> for Leaf<'line> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        match parser.peek() {
            Some(b'"') => Ok(Self::Text(parser.string()?.said())),
            Some(b't') => parser.skip().map(|()| Self::True),
            Some(b'[') => {
                let spelling = parser.spelling()?;
                let is_empty = spelling[1..spelling.len() - 1].trim_ascii().is_empty();
                Ok(if is_empty { Self::EmptyList } else { Self::Absent })
            }
            _ => parser.skip().map(|()| Self::Absent),
        }
    }
}

impl<'line> Value<'line> for Spelled<'line> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        let spelling = parser.spelling()?;
        Ok(Self((spelling != b"null").then_some(spelling)))
    }
}

impl<'line, S: Shape<'line>> Value<'line> for Object<S> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        if parser.peek() != Some(b'{') {
            return parser.skip().map(|()| Self(None));
        }
        let mut shape = Box::<S>::default();
        parser.object(|key, parser| shape.set(key, parser))?;
        Ok(Self(Some(shape)))
    }
}

impl<'line, T: Value<'line>> Value<'line> for List<T> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        if parser.peek() != Some(b'[') {
            return parser.skip().map(|()| Self::default());
        }
        let mut entries = Vec::new();
        parser.list(|parser| {
            if entries.len() == MAX_LISTED {
                return parser.skip();
            }
            entries.push(T::parse(parser)?);
            Ok(())
        })?;
        Ok(Self(entries))
    }
}

impl<'line> Value<'line> for Option<Text<'line>> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        if parser.peek() == Some(b'"') { parser.string().map(Some) } else { parser.skip().map(|()| None) }
    }
}

impl<'line> Value<'line> for Prompt<'line> {
    fn parse(parser: &mut Parser<'line>) -> Result<Self, Malformed> {
        if parser.peek() != Some(b'[') {
            return Option::parse(parser).map(Self);
        }
        let mut first: Option<Object<Block<'line>>> = None;
        parser.list(|parser| {
            if first.is_some() {
                return parser.skip();
            }
            first = Some(Object::parse(parser)?);
            Ok(())
        })?;
        Ok(Self(first.and_then(|block| block.0?.text)))
    }
}

shape! {
    /// A block of a message's content.
    Block {
        text: Option<Text<'line>> = b"text",
    }
}
