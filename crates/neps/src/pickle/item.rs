//! The words of a pickle.

use std::borrow::Cow;

/// An index into a pickle's items.
pub(crate) type Ref = u32;

/// One value. Those inside it are named by [`Ref`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An `int` of up to 64 bits.
    Int(i64),
    /// A longer `int`: little-endian two's complement.
    BigInt(Cow<'a, [u8]>),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(Cow<'a, str>),
    /// A `str` with lone surrogates, as Python has them for file names that are no UTF-8: its
    /// bytes with the error handler `surrogatepass`.
    Surrogates(Cow<'a, [u8]>),
    /// `bytes`.
    Bytes(Cow<'a, [u8]>),
    /// A `bytearray`.
    ByteArray(Cow<'a, [u8]>),
    /// A `list`.
    List(Vec<Ref>),
    /// A `tuple`.
    Tuple(Vec<Ref>),
    /// A `dict`, in its order. Keys may be there twice; the last counts.
    Dict(Vec<(Ref, Ref)>),
    /// A `set`.
    Set(Vec<Ref>),
    /// A `frozenset`.
    FrozenSet(Vec<Ref>),
    /// A class or function, by name only.
    Global {
        /// Where Python would look for it.
        module: Cow<'a, str>,
        /// Its name there, with dots if it is inside a class.
        name: Cow<'a, str>,
    },
    /// Anything else.
    Object(Box<Object>),
}

/// How Python would make an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// `class(*args)`
    Reduce,
    /// `class.__new__(class, *args)`
    New,
    /// `class.__new__(class, *args, **keywords)`
    NewKeywords,
}

/// What the operations REDUCE, NEWOBJ, `NEWOBJ_EX` and BUILD describe. Nothing is called.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    /// Which of them made it.
    pub(crate) how: How,
    /// The class or function: a global, or an object again.
    pub(crate) class: Ref,
    /// The arguments, a tuple.
    pub(crate) args: Ref,
    /// The arguments by name, a dict: for [`How::NewKeywords`].
    pub(crate) keywords: Option<Ref>,
    /// What BUILD gives to it: mostly a dict, its fields.
    pub(crate) state: Option<Ref>,
    /// What is appended to it, if it is like a list.
    pub(crate) items: Vec<Ref>,
    /// What is set in it, if it is like a dict.
    pub(crate) pairs: Vec<(Ref, Ref)>,
}

impl Object {
    /// One made this way, and nothing more said about it yet.
    pub(crate) fn new(how: How, class: Ref, args: Ref) -> Self {
        let (items, pairs) = (Vec::new(), Vec::new());
        Object { how, class, args, keywords: None, state: None, items, pairs }
    }
}

impl Item<'_> {
    /// The same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Item<'static> {
        fn bytes(value: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
            Cow::Owned(value.into_owned())
        }
        fn text(value: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(value.into_owned())
        }
        match self {
            Item::None => Item::None,
            Item::Bool(value) => Item::Bool(value),
            Item::Int(value) => Item::Int(value),
            Item::BigInt(value) => Item::BigInt(bytes(value)),
            Item::Float(value) => Item::Float(value),
            Item::Str(value) => Item::Str(text(value)),
            Item::Surrogates(value) => Item::Surrogates(bytes(value)),
            Item::Bytes(value) => Item::Bytes(bytes(value)),
            Item::ByteArray(value) => Item::ByteArray(bytes(value)),
            Item::List(items) => Item::List(items),
            Item::Tuple(items) => Item::Tuple(items),
            Item::Dict(pairs) => Item::Dict(pairs),
            Item::Set(items) => Item::Set(items),
            Item::FrozenSet(items) => Item::FrozenSet(items),
            Item::Global { module, name } => {
                Item::Global { module: text(module), name: text(name) }
            }
            Item::Object(object) => Item::Object(object),
        }
    }

    /// Shows every item that this one points to, in the order in which it is written.
    pub(crate) fn each_ref(&self, mut show: impl FnMut(Ref)) {
        match self {
            Item::List(items) | Item::Tuple(items) | Item::Set(items) | Item::FrozenSet(items) => {
                items.iter().copied().for_each(show);
            }
            Item::Dict(pairs) => {
                pairs.iter().flat_map(|(key, value)| [*key, *value]).for_each(show);
            }
            Item::Object(object) => {
                [object.class, object.args].into_iter().for_each(&mut show);
                object.keywords.into_iter().for_each(&mut show);
                object.items.iter().copied().for_each(&mut show);
                object.pairs.iter().flat_map(|(key, value)| [*key, *value]).for_each(&mut show);
                object.state.into_iter().for_each(show);
            }
            _ => {}
        }
    }

    /// The same, to change where it points.
    pub(crate) fn each_ref_mut(&mut self, mut show: impl FnMut(&mut Ref)) {
        match self {
            Item::List(items) | Item::Tuple(items) | Item::Set(items) | Item::FrozenSet(items) => {
                items.iter_mut().for_each(show);
            }
            Item::Dict(pairs) => {
                pairs.iter_mut().flat_map(|(key, value)| [key, value]).for_each(show);
            }
            Item::Object(object) => {
                [&mut object.class, &mut object.args].into_iter().for_each(&mut show);
                object.keywords.iter_mut().for_each(&mut show);
                object.items.iter_mut().for_each(&mut show);
                object.pairs.iter_mut().flat_map(|(key, value)| [key, value]).for_each(&mut show);
                object.state.iter_mut().for_each(show);
            }
            _ => {}
        }
    }
}
