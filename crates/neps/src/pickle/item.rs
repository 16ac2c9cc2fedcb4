//! The items that a pickle consists of.

use std::borrow::Cow;

/// An index into a pickle's items.
pub(crate) type Ref = u32;

/// One Python value. It refers to the values inside it by index.
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
    /// A `str` with lone surrogates, which Python uses for file names that are not UTF-8: its
    /// encoding with the error handler `surrogatepass`.
    Surrogates(Cow<'a, [u8]>),
    /// `bytes`.
    Bytes(Cow<'a, [u8]>),
    /// A `bytearray`.
    ByteArray(Cow<'a, [u8]>),
    /// A `list`.
    List(Vec<Ref>),
    /// A `tuple`.
    Tuple(Vec<Ref>),
    /// A `dict`, in insertion order. A key may occur twice; the last one counts.
    Dict(Vec<(Ref, Ref)>),
    /// A `set`.
    Set(Vec<Ref>),
    /// A `frozenset`.
    FrozenSet(Vec<Ref>),
    /// A class or function, by name only.
    Global {
        /// The module that Python would import it from.
        module: Cow<'a, str>,
        /// Its qualified name: with dots if it is inside a class.
        name: Cow<'a, str>,
    },
    /// Anything else.
    Object(Box<Object>),
}

/// How Python would create an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// `class(*args)`
    Reduce,
    /// `class.__new__(class, *args)`
    New,
    /// `class.__new__(class, *args, **keywords)`
    NewKeywords,
}

/// An object as the operations REDUCE, NEWOBJ, `NEWOBJ_EX` and BUILD describe it; we call nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    /// Which of these creates it.
    pub(crate) how: How,
    /// The class or function: a global, or itself an object.
    pub(crate) class: Ref,
    /// The positional arguments, a tuple.
    pub(crate) args: Ref,
    /// The keyword arguments, a dict; for [`How::NewKeywords`].
    pub(crate) keywords: Option<Ref>,
    /// The argument of BUILD: usually a dict with its attributes.
    pub(crate) state: Option<Ref>,
    /// The items appended to it, if it is a kind of list.
    pub(crate) items: Vec<Ref>,
    /// The entries set in it, if it is a kind of dict.
    pub(crate) pairs: Vec<(Ref, Ref)>,
}

impl Object {
    /// An object without state, items and entries.
    pub(crate) fn new(how: How, class: Ref, args: Ref) -> Self {
        let (items, pairs) = (Vec::new(), Vec::new());
        Object { how, class, args, keywords: None, state: None, items, pairs }
    }
}

impl Item<'_> {
    /// The same item, borrowing nothing.
    pub(crate) fn into_owned(self) -> Item<'static> {
        fn bytes(value: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
            Cow::Owned(value.into_owned())
        }
        fn string(value: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(value.into_owned())
        }
        match self {
            Item::None => Item::None,
            Item::Bool(value) => Item::Bool(value),
            Item::Int(value) => Item::Int(value),
            Item::BigInt(value) => Item::BigInt(bytes(value)),
            Item::Float(value) => Item::Float(value),
            Item::Str(value) => Item::Str(string(value)),
            Item::Surrogates(value) => Item::Surrogates(bytes(value)),
            Item::Bytes(value) => Item::Bytes(bytes(value)),
            Item::ByteArray(value) => Item::ByteArray(bytes(value)),
            Item::List(items) => Item::List(items),
            Item::Tuple(items) => Item::Tuple(items),
            Item::Dict(pairs) => Item::Dict(pairs),
            Item::Set(items) => Item::Set(items),
            Item::FrozenSet(items) => Item::FrozenSet(items),
            Item::Global { module, name } => {
                Item::Global { module: string(module), name: string(name) }
            }
            Item::Object(object) => Item::Object(object),
        }
    }

    /// Visits every item that this one refers to, in the order in which they are written.
    pub(crate) fn each_ref(&self, mut visit: impl FnMut(Ref)) {
        match self {
            Item::List(items) | Item::Tuple(items) | Item::Set(items) | Item::FrozenSet(items) => {
                items.iter().copied().for_each(visit);
            }
            Item::Dict(pairs) => {
                pairs.iter().flat_map(|(key, value)| [*key, *value]).for_each(visit);
            }
            Item::Object(object) => {
                [object.class, object.args].into_iter().for_each(&mut visit);
                object.keywords.into_iter().for_each(&mut visit);
                object.items.iter().copied().for_each(&mut visit);
                object.pairs.iter().flat_map(|(key, value)| [*key, *value]).for_each(&mut visit);
                object.state.into_iter().for_each(visit);
            }
            _ => {}
        }
    }

    /// The same, to change what it refers to.
    pub(crate) fn each_ref_mut(&mut self, mut visit: impl FnMut(&mut Ref)) {
        match self {
            Item::List(items) | Item::Tuple(items) | Item::Set(items) | Item::FrozenSet(items) => {
                items.iter_mut().for_each(visit);
            }
            Item::Dict(pairs) => {
                pairs.iter_mut().flat_map(|(key, value)| [key, value]).for_each(visit);
            }
            Item::Object(object) => {
                [&mut object.class, &mut object.args].into_iter().for_each(&mut visit);
                object.keywords.iter_mut().for_each(&mut visit);
                object.items.iter_mut().for_each(&mut visit);
                object.pairs.iter_mut().flat_map(|(key, value)| [key, value]).for_each(&mut visit);
                object.state.iter_mut().for_each(visit);
            }
            _ => {}
        }
    }
}
