//! What is asked of a Prometheus, and what of it cannot be asked.

use ambidex_core::time::Span;

use super::ask::Range;
use super::error::PrometheusError;
use super::own::{self, OwnQueries};
use super::sets::{SETS, Set};
use super::who::Chosen;
use super::words::checked;
use crate::history::{At, Bounds};
use crate::sources::fetch::Access;

/// What is asked of a Prometheus.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is: with the path before `/api/v1`, where it has one.
    pub access: Access,
    /// The end of the range.
    pub now: At,
    /// How long the range is. Default: 3 h, what is structural is told by that much [diagnosis.md].
    pub since: Span,
    /// Between two points of time. Default: by the range, so that a window of five minutes has ten.
    pub step: Option<Span>,
    /// How long each answer may take. Default: 30 s.
    pub timeout: Span,
    /// Matchers that narrow all queries: `job="node",zone="a"`.
    pub matchers: String,
    /// Labels that stand in place of the sets' own.
    pub chosen: Chosen,
    /// Names of sets, of [`names`](super::names); `None`: all that are found.
    pub sets: Option<Vec<String>>,
    /// The user's own queries.
    pub own: OwnQueries,
}

impl Options {
    /// All by default, for a Prometheus at this address.
    #[must_use]
    pub fn new(url: &str, now: At) -> Self {
        Self {
            access: Access { url: url.to_owned(), ..Access::default() },
            now,
            since: Span::from_secs(3 * 3_600),
            step: None,
            timeout: Span::from_secs(30),
            matchers: String::new(),
            chosen: Chosen::default(),
            sets: None,
            own: OwnQueries::default(),
        }
    }

    /// The sets that are looked for; all that is put into queries is checked before.
    pub(super) fn chosen_sets(&self) -> Result<Vec<&'static Set>, PrometheusError> {
        checked(&self.matchers).map_err(|why| PrometheusError::Matchers { matchers: self.matchers.clone(), why })?;
        let Chosen { node, service, version, role, zone } = &self.chosen;
        for (of, label) in [("node", node), ("service", service), ("version", version), ("role", role), ("zone", zone)]
        {
            label.as_deref().map_or(Ok(()), |label| own::checked(of, label))?;
        }
        let Some(names) = &self.sets else { return Ok(SETS.to_vec()) };
        let find = |name: &String| {
            let known = || SETS.iter().map(|set| set.name).collect::<Vec<_>>().join(", ");
            let found = SETS.into_iter().find(|set| set.name == name);
            found.ok_or_else(|| PrometheusError::NoSet { name: name.clone(), known: known() })
        };
        names.iter().map(find).collect()
    }

    /// What is asked of time.
    pub(super) fn range(&self) -> Result<Range, PrometheusError> {
        let since = self.since;
        let step = self.step.unwrap_or(match since {
            short if short <= Span::from_secs(86_400) => Span::from_secs(30),
            week if week <= Span::from_secs(8 * 86_400) => Span::from_secs(60),
            _ => LONGEST_STEP,
        });
        let fits = (Span::from_secs(1)..=LONGEST_STEP).contains(&step) && (step.times(10)..=longest()).contains(&since);
        if !fits {
            return Err(PrometheusError::Range { since, step });
        }
        Ok(Range::of(self.now, since, step))
    }
}

/// As far as a recorder keeps moments from each other.
fn longest() -> Span {
    Span::from_secs(u64::try_from(Bounds::default().days).unwrap_or(0) * 86_400)
}

/// Source: ours; a window of five minutes has one point then.
const LONGEST_STEP: Span = Span::from_secs(300);
