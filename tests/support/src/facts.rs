//! What a booted guest has said of itself, and what it should have.

use std::collections::BTreeMap;
use std::ops::Index;

/// What a guest said of itself.
pub struct Facts {
    told: BTreeMap<String, String>,
    pub console: String,
    logs: String,
}

impl Index<&str> for Facts {
    type Output = str;

    #[track_caller]
    fn index(&self, name: &str) -> &str {
        match self.told.get(name) {
            Some(value) => value,
            None => panic!("the guest did not tell `{name}`; {}", self.logs),
        }
    }
}

impl Facts {
    /// Of lines `name=value`.
    pub fn read(told: &str, console: String, logs: String) -> Facts {
        let told = told
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Facts {
            told,
            console,
            logs,
        }
    }

    /// Whether the guest came to the end of its script.
    pub fn are_whole(&self) -> bool {
        self.told.contains_key("end")
    }

    #[track_caller]
    pub fn expect(&self, name: &str, value: &str) {
        assert_eq!(&self[name], value, "`{name}`; {}", self.logs);
    }

    #[track_caller]
    pub fn expect_parts(&self, name: &str, parts: &[&str]) {
        for part in parts {
            let value = &self[name];
            assert!(
                value.contains(part),
                "`{name}` lacks {part:?}: {value}; {}",
                self.logs
            );
        }
    }

    #[track_caller]
    pub fn expect_console(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.console.contains(part),
                "the console lacks {part:?}; {}",
                self.logs
            );
        }
    }
}
