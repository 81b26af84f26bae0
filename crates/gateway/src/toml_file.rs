//! TOML files whose contents may be secret: errors name the file and the line, and show no value.

use std::{fs, path::Path};

use anyhow::{Context as _, anyhow};
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// A name, and what it has in the file.
pub struct Entry {
    /// The name, as it is written.
    pub name: String,
    /// Where: `FILE, line N`.
    pub place: String,
    /// What it has.
    pub value: Value,
}

/// What a name has.
pub enum Value {
    /// A text, an integer or a boolean, as a text.
    Scalar(Zeroizing<String>),
    /// Several of these.
    List(Vec<Zeroizing<String>>),
    /// A table.
    Table(Vec<Entry>),
}

/// The entries of a file, in the order of their names.
///
/// # Errors
///
/// If it cannot be read, is not TOML, or has another kind of value.
pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let text = Zeroizing::new(text);
    let place = |start: usize| {
        let before = &text.as_bytes()[..start.min(text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{shown}, line {line}")
    };
    // The error's `Display` quotes the line, which may contain a secret.
    let table = DeTable::parse(&text).map_err(|error| match error.span() {
        Some(span) => anyhow!("{}: {}", place(span.start), error.message()),
        None => anyhow!("{shown}: {}", error.message()),
    })?;
    entries(table.into_inner(), &place)
}

fn entries(table: DeTable<'_>, place: &dyn Fn(usize) -> String) -> anyhow::Result<Vec<Entry>> {
    let entry = |(name, value): (toml::Spanned<_>, toml::Spanned<_>)| {
        let place_of_name = place(name.span().start);
        let name: std::borrow::Cow<'_, str> = name.into_inner();
        let wrong = || anyhow!("{place_of_name}: {name} has another kind of value");
        let value = match value.into_inner() {
            DeValue::Array(list) => Value::List(
                list.into_iter()
                    .map(|item| scalar(item.into_inner()).ok_or_else(wrong))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => Value::Table(entries(table, place)?),
            other => Value::Scalar(scalar(other).ok_or_else(wrong)?),
        };
        Ok(Entry {
            name: name.into_owned(),
            place: place_of_name,
            value,
        })
    };
    table.into_iter().map(entry).collect()
}

fn scalar(value: DeValue<'_>) -> Option<Zeroizing<String>> {
    let text = match value {
        DeValue::String(text) => text.into_owned(),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            number.to_string()
        }
        DeValue::Boolean(truth) => truth.to_string(),
        _ => return None,
    };
    Some(Zeroizing::new(text))
}
