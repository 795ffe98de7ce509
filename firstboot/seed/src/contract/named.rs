//! Kinds of values of which there is a closed list, and which are written as their names.

/// `written_by_name!(Kind, ALL)`: how references to a `Kind` of the list `ALL` are written
/// and read, by the field `name`.
macro_rules! written_by_name {
    ($kind:ident, $all:ident) => {
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name)
            }
        }

        /// For the error message of an unknown name.
        static NAMES: [&str; $all.len()] = {
            let mut names = [""; $all.len()];
            let mut at = 0;
            while at < names.len() {
                names[at] = $all[at].name;
                at += 1;
            }
            names
        };

        impl<'de> serde::Deserialize<'de> for &'static $kind {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let name = String::deserialize(from)?;
                let found = $all.iter().find(|one| one.name == name);
                found
                    .copied()
                    .ok_or_else(|| serde::de::Error::unknown_variant(&name, &NAMES))
            }
        }
    };
}

pub(super) use written_by_name;
