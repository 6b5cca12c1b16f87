//! Records in the binary encoding of [Avro](https://avro.apache.org/docs/1.12.0/specification/), whose types change by its rules.
//!
//! A type says which schemas it has had. The last one is written; what an earlier one has written, in checkpoints as well as in savepoints, is
//! read by Avro's [schema resolution](https://avro.apache.org/docs/1.12.0/specification/#schema-resolution): fields are found by their names, one
//! that is missing has its default, one that is gone is passed over, and `int` becomes `long`. Aliases, which Avro leaves to implementations, are not
//! followed. (Flink's
//! [Avro types](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/serialization/schema_evolution/#avro-types)
//! do the same, with the schema of the writer in each checkpoint.)
//!
//! ```
//! use millstream_engine::record::{Coded, Record, RecordBuf};
//! use millstream_io::avro::{Avro, AvroType};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Visits {
//!     id: i64,
//!     last: Option<i64>,
//! }
//!
//! impl AvroType for Visits {
//!     const NAME: &'static str = "Visits";
//!     const SCHEMAS: &'static [&'static str] = &[
//!         r#"{"type": "record", "name": "Visits", "fields": [{"name": "id", "type": "int"}]}"#,
//!         r#"{"type": "record", "name": "Visits", "fields": [
//!             {"name": "id", "type": "long"},
//!             {"name": "last", "type": ["null", "long"], "default": null}
//!         ]}"#,
//!     ];
//! }
//!
//! // What the first schema wrote: an `int` of 7.
//! let visits = Coded::<Avro<Visits>>::view(&[1, 0, 0, 0, 14])?.decode()?.0;
//! assert_eq!((visits.id, visits.last), (7, None));
//!
//! let mut bytes = RecordBuf::new();
//! Coded(Avro(Visits { id: 7, last: Some(2) })).encode(&mut bytes);
//! assert_eq!(&bytes[..], [2, 0, 0, 0, 14, 2, 4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use apache_avro::{Schema, from_avro_datum, from_value, to_avro_datum, to_value};
use millstream_engine::record::Codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that Avro encodes.
pub trait AvroType: Serialize + DeserializeOwned + 'static {
    /// What the type is called in checkpoints and savepoints. It stays when the type is renamed.
    const NAME: &'static str;

    /// Its schemas in JSON, the oldest first. Whoever changes the type appends one; one may only be changed in what Avro does not write, such as
    /// `doc`, as long as there is anything that it has written.
    const SCHEMAS: &'static [&'static str];
}

/// A value in Avro's encoding. `Coded<Avro<T>>` is the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Avro<T>(pub T);

thread_local! {
    /// The schemas of each type that this thread has met.
    static PARSED: RefCell<HashMap<TypeId, Rc<[Schema]>>> = RefCell::default();
}

fn schemas<T: AvroType>() -> Result<Rc<[Schema]>, String> {
    if let Some(known) = PARSED.with_borrow(|parsed| parsed.get(&TypeId::of::<T>()).cloned()) {
        return Ok(known);
    }
    let parse = |(text, number): (&&str, usize)| {
        Schema::parse_str(text)
            .map_err(|error| format!("schema {number} of `{}` is none of Avro's: {error}", T::NAME))
    };
    let schemas: Rc<[Schema]> = T::SCHEMAS.iter().zip(1..).map(parse).collect::<Result<_, _>>()?;
    PARSED.with_borrow_mut(|parsed| parsed.insert(TypeId::of::<T>(), schemas.clone()));
    Ok(schemas)
}

fn encoded<T: AvroType>(value: &T) -> Result<Vec<u8>, String> {
    let schemas = schemas::<T>()?;
    let schema = schemas.last().ok_or_else(|| format!("`{}` has no schema", T::NAME))?;
    let fits = |error| format!("a `{}` does not fit its schema: {error}", T::NAME);
    let value = to_value(value).and_then(|value| value.resolve(schema)).map_err(fits)?;
    to_avro_datum(schema, value).map_err(fits)
}

impl<T: AvroType> Codec for Avro<T> {
    const NAME: &'static str = T::NAME;
    const VERSION: u32 = T::SCHEMAS.len() as u32;

    /// # Panics
    /// Where the value does not fit the last schema, or a schema is none: that fails the job, by the operator's name.
    fn encode(&self, out: &mut Vec<u8>) {
        match encoded(&self.0) {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(reason) => panic!("{reason}"),
        }
    }

    fn decode(version: u32, mut bytes: &[u8]) -> Result<Self, String> {
        let schemas = schemas::<T>()?;
        let of = |version: u32| (version as usize).checked_sub(1).and_then(|index| schemas.get(index));
        let Some(writer) = of(version) else {
            return Err(format!(
                "it was written by schema {version} of `{}`, and this program knows {}",
                T::NAME,
                schemas.len()
            ));
        };
        let reader = of(Self::VERSION).filter(|_| version != Self::VERSION);
        let value = from_avro_datum(writer, &mut bytes, reader)
            .map_err(|error| format!("schema {version} of `{}`: {error}", T::NAME))?;
        if !bytes.is_empty() {
            return Err(format!("schema {version} of `{}`: {} bytes too many", T::NAME, bytes.len()));
        }
        from_value(&value).map(Avro).map_err(|error| format!("schema {version} of `{}`: {error}", T::NAME))
    }
}
