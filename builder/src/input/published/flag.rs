//! A flag of a program, and what its value must be.

use std::net::IpAddr;

use serde::Deserialize;

use super::{is_quantity, seconds};

/// A flag of a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Flag {
    /// As the types of fields: `bool`, `int`, `map[string]string`, ...
    pub kind: String,
    pub is_deprecated: bool,
}

impl From<String> for Flag {
    fn from(text: String) -> Flag {
        let kind = text.strip_suffix(" deprecated");
        Flag {
            is_deprecated: kind.is_some(),
            kind: kind.unwrap_or(&text).to_owned(),
        }
    }
}

impl Flag {
    /// What the value of this flag, called `name`, must be, if it is not.
    pub fn misfit(&self, name: &str, value: &str) -> Option<&'static str> {
        // Thresholds: `memory.available<100Mi`.
        let sign = match name {
            "eviction-hard" | "eviction-soft" => '<',
            _ => '=',
        };
        let pairs = |is_good: fn(&str) -> bool| {
            let mut pairs = value.split(',').filter(|pair| !pair.is_empty());
            pairs.all(|pair| {
                pair.split_once(sign)
                    .is_some_and(|(_, value)| is_good(value))
            })
        };
        let (fits, must) = match self.kind.as_str() {
            "bool" => (is_bool(value), "`true` or `false`"),
            "int" => (value.parse::<i64>().is_ok(), "a whole number"),
            "float" => (value.parse::<f64>().is_ok(), "a number"),
            "duration" => (seconds(value).is_some(), "a duration such as `10s`"),
            "quantity" => (is_quantity(value), "a quantity such as `10Mi`"),
            "ip" => (value.parse::<IpAddr>().is_ok(), "an IP address"),
            "map[string]bool" => (pairs(is_bool), "pairs such as `name=true`"),
            "map[string]string" if sign == '<' => {
                (pairs(|_| true), "pairs such as `memory.available<100Mi`")
            }
            "map[string]string" => (pairs(|_| true), "pairs such as `name=value`"),
            _ => (true, ""),
        };
        (!fits).then_some(must)
    }
}

/// As Go's `strconv.ParseBool`.
pub fn is_bool(value: &str) -> bool {
    [
        "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False",
    ]
    .contains(&value)
}
