//! JSON whose members stay in the order that they were written in, which readers follow.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// What has no parts.
    Plain(Value),
    List(Vec<Json>),
    Members(Vec<(String, Json)>),
}

impl Json {
    /// The member of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let mut members = self.members().iter();
        members
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
    }

    /// The text that is the member of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// The text that this is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Json::Plain(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The members; none of what is no object.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Members(members) => members,
            _ => &[],
        }
    }

    /// The entries of the list that is the member of this name; none where there is no list.
    pub fn list(&self, name: &str) -> &[Json] {
        match self.get(name) {
            Some(Json::List(list)) => list,
            _ => &[],
        }
    }

    /// The texts of the list that is the member of this name.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name).iter().filter_map(Json::as_text).collect()
    }

    /// What a `#/...` leads to.
    ///
    /// # Errors
    /// When it leads nowhere.
    pub fn at(&self, reference: &str) -> Result<&Json> {
        let Some(path) = reference.strip_prefix("#/") else {
            bail!("{reference} leads out of the document");
        };
        let mut names = path.split('/');
        let found = names.try_fold(self, |value, name| value.get(name));
        found.with_context(|| format!("{reference} leads nowhere"))
    }

    /// Written out, with a line for each part.
    pub fn pretty(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Plain(value) => value.serialize(serializer),
            Json::List(list) => serializer.collect_seq(list),
            Json::Members(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(Json::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_in_order() {
        let text = r#"{"b":[1,-2,0.5,null],"a":{"c":"d","b":true}}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(json.to_string(), text);
        assert_eq!(json.at("#/a/c").unwrap().as_text(), Some("d"));
        assert_eq!(json.list("b").len(), 4);
        assert!(json.at("#/a/x").is_err());
        assert!(json.at("other.json#/a").is_err());
    }
}
