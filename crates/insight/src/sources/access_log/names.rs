//! What names stand for in one reading: those that the user says, before those that everybody uses.

use std::str::FromStr;

use super::field::{self, Field, MOST_EXTRAS, Target, Unit};

/// A field's name in the log, as the user says it: `node=backend`, `duration=took:ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What it says.
    pub field: Field,
    /// What the log calls it.
    pub name: String,
    /// Of a time: its unit, where its name does not say it.
    pub unit: Option<Unit>,
}

/// A field of the log that requests are told apart by: `tenant=http_x_tenant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What the report calls it.
    pub label: String,
    /// What the log calls it.
    pub name: String,
}

/// What names stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    mapped: Vec<Mapping>,
    extras: Vec<Attribute>,
}

impl Names {
    pub(super) fn new(mapped: &[Mapping], extras: &[Attribute]) -> Self {
        Self { mapped: mapped.to_vec(), extras: extras.iter().take(MOST_EXTRAS).cloned().collect() }
    }

    /// What a name stands for: nothing, one thing, or a field that is an attribute, too.
    pub(super) fn of(&self, name: &str) -> Vec<Target> {
        let table = field::target(name).into_iter();
        table.chain(self.own().filter(|(own, _)| *own == name).map(|(_, target)| target)).collect()
    }

    /// All names that stand for something.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Target)> {
        #[expect(clippy::map_identity, reason = "makes of names that live forever names that live as long as ours")]
        field::targets().map(|(name, target)| (name, target)).chain(self.own())
    }

    /// What the report calls the attributes that the user named.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.extras.iter().map(|extra| extra.label.as_str())
    }

    /// Names that the user says.
    pub(super) fn own(&self) -> impl Iterator<Item = (&str, Target)> {
        let mapped =
            self.mapped.iter().map(|one| (one.name.as_str(), Target { field: one.field, rank: 0, unit: one.unit }));
        let extras = (0_u8..)
            .zip(&self.extras)
            .map(|(number, extra)| (extra.name.as_str(), Target { field: Field::Extra(number), rank: 0, unit: None }));
        mapped.chain(extras)
    }
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, name) = text.split_once('=').ok_or_else(|| format!("`{text}` is no FIELD=NAME"))?;
        let field = Field::named(field.trim()).ok_or_else(|| {
            format!("`{field}` is no field; there are: {}", field::mapped_names().collect::<Vec<_>>().join(", "))
        })?;
        let (name, unit) = match name.rsplit_once(':').map(|(name, unit)| (name, Unit::named(unit))) {
            Some((name, Some(unit))) => (name, Some(unit)),
            Some((_, None)) | None => (name, None),
        };
        if name.trim().is_empty() {
            return Err(format!("`{text}` names no field of the log"));
        }
        Ok(Self { field, name: name.trim().to_owned(), unit })
    }
}

impl FromStr for Attribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (label, name) = text.split_once('=').unwrap_or((text, text));
        let (label, name) = (label.trim().to_owned(), name.trim().trim_start_matches('$').to_owned());
        if label.is_empty() || name.is_empty() {
            return Err(format!("`{text}` is neither NAME nor LABEL=NAME"));
        }
        Ok(Self { label, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_is_read() {
        let mapping = |text: &str| text.parse::<Mapping>();
        let of = |field, name: &str, unit| Ok(Mapping { field, name: name.into(), unit });
        assert_eq!(mapping("node=backend"), of(Field::Node, "backend", None));
        assert_eq!(mapping("duration=took:ms"), of(Field::Took, "took", Some(Unit::Millis)));
        assert_eq!(mapping("host=:authority"), of(Field::Host, ":authority", None));
        assert!(mapping("nod=backend").is_err_and(|error| error.contains("node, ")));
        assert!(mapping("node").is_err() && mapping("node= ").is_err());
        let attribute = |text: &str| text.parse::<Attribute>();
        assert_eq!(
            attribute("tenant=$http_x_tenant"),
            Ok(Attribute { label: "tenant".into(), name: "http_x_tenant".into() })
        );
        assert!(attribute("=").is_err());
    }

    #[test]
    fn what_the_user_says_comes_before_the_table() {
        let mapped = "duration=request_time:ms".parse().expect("a mapping");
        let names = Names::new(&[mapped], &[]);
        let best = names.of("request_time").into_iter().min_by_key(|target| target.rank);
        assert_eq!(best, Some(Target { field: Field::Took, rank: 0, unit: Some(Unit::Millis) }));
    }
}
