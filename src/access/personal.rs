//! What of each answer is about a person, as the protocol itself declares it, and how the answer looks without it.
//!
//! An answer is masked as it leaves, by its encoded form and the descriptor set that reflection serves, and not where it is made: so no
//! handler, old or new, can forget it, and whoever reads the protocol sees what is masked. What an answer tells in clear is found in the
//! same way.
//!
//! **Owns** the shapes of messages that tell something of a person; all others are passed over without a look. **Fails** closed: a message
//! that cannot be read is handed to nobody. **Limits**: messages within messages up to [`DEPTH_MAX`], as in the decoder of our clients.

use std::collections::{BTreeSet, HashMap};

use prost::encoding::encode_varint;

use super::descriptor::{Field, FileSet, MessageType};
use super::wire::{Malformed, fields};
use crate::domain::mask::Personal;
use crate::proto::access::v1::Personal as Declared;

const DEPTH_MAX: usize = 100;
/// The field by which messages are known.
const ID: &str = "id";

/// One message that tells something of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape(usize);

/// What messages tell of persons.
#[derive(Debug, Clone, Default)]
pub struct PersonalFields {
    known: Vec<Known>,
    by_name: HashMap<String, Shape>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// The number of its field `id`.
    id: Option<u32>,
    fields: HashMap<u32, Tells>,
}

#[derive(Debug, Clone, Copy)]
enum Tells {
    Itself(Personal),
    Within(Shape),
}

impl PersonalFields {
    /// Reads them out of the protocol.
    pub fn of(set: &FileSet) -> Self {
        let mut named = Vec::new();
        for file in &set.files {
            flatten(&format!(".{}", file.package), &file.messages, &mut named);
        }
        let by_name: HashMap<String, Shape> =
            named.iter().enumerate().map(|(at, (name, _))| (name.clone(), Shape(at))).collect();
        let mut known: Vec<Known> = named.iter().map(|(_, message)| known(message, &by_name)).collect();
        // What a message tells it may tell by way of others, in whatever order they are declared.
        let mut telling: Vec<bool> = known.iter().map(Known::tells_itself).collect();
        loop {
            let next: Vec<bool> =
                (0..known.len()).map(|at| telling[at] || known[at].leads_to(&telling)).collect();
            if next == telling {
                break;
            }
            telling = next;
        }
        for message in &mut known {
            message.fields.retain(|_, tells| !matches!(tells, Tells::Within(Shape(at)) if !telling[*at]));
        }
        Self { known, by_name: by_name.into_iter().filter(|(_, Shape(at))| telling[*at]).collect() }
    }

    /// The message of this full name, with a dot before it, if it tells something of a person.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.by_name.get(name).copied()
    }

    /// The same message, encoded, with what it tells of persons masked.
    ///
    /// # Errors
    /// It is no encoded message.
    pub fn mask(&self, shape: Shape, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut masked = Vec::with_capacity(message.len());
        self.mask_into(shape, message, DEPTH_MAX, &mut masked)?;
        Ok(masked)
    }

    fn mask_into(
        &self,
        Shape(at): Shape,
        message: &[u8],
        depth: usize,
        masked: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        for field in fields(message) {
            let field = field?;
            match (self.known[at].fields.get(&field.number), field.content) {
                (None, _) => masked.extend_from_slice(field.whole),
                (Some(Tells::Within(shape)), Some(content)) => {
                    let mut within = Vec::with_capacity(content.len());
                    self.mask_into(*shape, content, depth, &mut within)?;
                    put(field.number, &within, masked);
                }
                (Some(Tells::Itself(personal)), Some(content)) => {
                    if let Some(shown) = personal.mask(&String::from_utf8_lossy(content)) {
                        put(field.number, shown.as_bytes(), masked);
                    }
                }
                // A number has no mask: it is left out.
                (Some(_), None) => {}
            }
        }
        Ok(())
    }

    /// The ids of those that a message tells of: of messages within each other the outermost one's, and nothing where none has any.
    /// Empty where it tells nothing of anybody.
    ///
    /// # Errors
    /// It is no encoded message.
    pub fn told(&self, shape: Shape, message: &[u8]) -> Result<BTreeSet<String>, Malformed> {
        let mut told = BTreeSet::new();
        self.tell(shape, message, DEPTH_MAX, None, &mut told)?;
        Ok(told)
    }

    fn tell(
        &self,
        Shape(at): Shape,
        message: &[u8],
        depth: usize,
        of: Option<&str>,
        told: &mut BTreeSet<String>,
    ) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let known = &self.known[at];
        let mut own = None;
        for field in fields(message) {
            let field = field?;
            if Some(field.number) == known.id {
                own = field.content.map(|content| String::from_utf8_lossy(content).into_owned());
            }
        }
        let of = of.or(own.as_deref());
        for field in fields(message) {
            let field = field?;
            match (known.fields.get(&field.number), field.content) {
                (Some(Tells::Itself(personal)), content) => {
                    // What was masked where it was made is told to nobody.
                    if !content.is_some_and(|content| personal.is_mask(&String::from_utf8_lossy(content))) {
                        told.insert(of.unwrap_or_default().to_owned());
                    }
                }
                (Some(Tells::Within(shape)), Some(content)) => self.tell(*shape, content, depth, of, told)?,
                (Some(Tells::Within(_)), None) | (None, _) => {}
            }
        }
        Ok(())
    }
}

impl Known {
    fn tells_itself(&self) -> bool {
        self.fields.values().any(|tells| matches!(tells, Tells::Itself(_)))
    }

    fn leads_to(&self, telling: &[bool]) -> bool {
        self.fields.values().any(|tells| matches!(tells, Tells::Within(Shape(at)) if telling[*at]))
    }
}

/// Messages with those that are declared in them, each under its full name.
fn flatten<'a>(prefix: &str, messages: &'a [MessageType], into: &mut Vec<(String, &'a MessageType)>) {
    for message in messages {
        let name = format!("{prefix}.{}", message.name);
        flatten(&name, &message.messages, into);
        into.push((name, message));
    }
}

fn known(message: &MessageType, by_name: &HashMap<String, Shape>) -> Known {
    let tells = |field: &Field| match personal(field.declared()) {
        Some(personal) => Some(Tells::Itself(personal)),
        None => by_name.get(&field.type_name).copied().map(Tells::Within),
    };
    Known {
        id: message.fields.iter().find(|field| field.name == ID).map(|field| field.number),
        fields: message.fields.iter().filter_map(|field| Some((field.number, tells(field)?))).collect(),
    }
}

fn personal(declared: Declared) -> Option<Personal> {
    match declared {
        Declared::Unspecified | Declared::None => None,
        Declared::Name => Some(Personal::Name),
        Declared::TaxId => Some(Personal::TaxId),
        Declared::Mail => Some(Personal::Mail),
        Declared::Account => Some(Personal::Account),
        Declared::Text => Some(Personal::Text),
        Declared::LeftOut => Some(Personal::LeftOut),
    }
}

/// Writes a field that has a length.
fn put(number: u32, content: &[u8], into: &mut Vec<u8>) {
    encode_varint((u64::from(number) << 3) | 2, into);
    encode_varint(content.len() as u64, into);
    into.extend_from_slice(content);
}

#[cfg(test)]
mod tests;
