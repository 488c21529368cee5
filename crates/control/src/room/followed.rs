//! The room of a gateway that follows a coordinator: what comes from there, what is told there, and what is kept for a
//! start without it.

use std::sync::Arc;

use ambidex_core::contact::{Contact, Event, Stage};
use ambidex_core::time::{Mono, Span};
use ambidex_wire::subscription::{Changes, Counts, Guidance, Hello, Picture, Wanted};
use prost::Message as _;
use serde::Serialize;

use super::Room;
use crate::clock::wall_millis;
use crate::config::FollowConfig;
use crate::news::What;
use crate::pool::{COORDINATOR, TakeError};
use crate::roster;

/// How this process stands with the coordinator that it follows.
#[derive(Debug)]
pub(crate) struct Following {
    /// Of the one that is followed, or asked.
    pub(crate) url: Arc<str>,
    urls: Arc<[Arc<str>]>,
    /// The latest term that was heard of; 0: none.
    term: u64,
    pub(crate) contact: Contact,
    /// Why it is not heard.
    pub(crate) fault: Option<String>,
}

/// The same, for status and pages.
#[derive(Clone, Debug, Serialize)]
pub struct FollowStatus {
    /// Where the coordinator is: of several the one that leads, or that was asked last.
    pub url: Arc<str>,
    /// Where all of them are.
    pub urls: Arc<[Arc<str>]>,
    /// The latest term that was heard of; 0 where nobody is elected.
    pub term: u64,
    /// What the weights rest on.
    pub stage: Stage,
    /// Since it was heard last; before that, since the start.
    pub silent_ms: f64,
    /// Why it is not heard.
    pub fault: Option<String>,
}

impl Room {
    /// From now on pools without workers of their own follow a coordinator.
    pub(crate) fn follow(&mut self, now: Mono, config: &FollowConfig) {
        let contact = Contact::new(now, config.static_after());
        let urls: Arc<[Arc<str>]> = config.urls().iter().map(|url| url.as_str().into()).collect();
        let url = urls.first().cloned().unwrap_or_default();
        self.following = Some(Following { url, urls, term: 0, contact, fault: None });
    }

    /// From now on this one of several is asked.
    pub(crate) fn turn_to(&mut self, url: &str) {
        if let Some(following) = self.following.as_mut().filter(|following| *following.url != *url) {
            following.url = url.into();
        }
    }

    /// How long the coordinator may say nothing until another one is asked.
    pub(crate) fn patience(&self) -> Span {
        self.following.as_ref().map_or(Span::ZERO, |following| following.contact.patience())
    }

    /// Somebody speaks under this term.
    ///
    /// # Errors
    /// A later leader was heard of before: under which term.
    pub(crate) fn hear_term(&mut self, term: u64) -> Result<(), u64> {
        let Some(following) = &mut self.following else { return Ok(()) };
        if term < following.term {
            return Err(following.term);
        }
        following.term = term;
        Ok(())
    }

    /// The latest term that was heard of.
    pub(crate) fn heard_term(&self) -> u64 {
        self.following.as_ref().map_or(0, |following| following.term)
    }

    /// The first words to a coordinator.
    pub(crate) fn hello(&mut self, now: Mono) -> Hello {
        let wanted = |pool: &mut crate::pool::Pool| {
            pool.count_anew(now);
            Wanted { pool: pool.config.name.to_string(), weights: pool.weights_in_force() }
        };
        let pools = self.pools.iter_mut().filter(|pool| pool.is_followed()).map(wanted).collect();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Hello { version, pools, heard: self.heard_term(), name: name(), tables: Vec::new() }
    }

    /// Anything came from the coordinator.
    pub(crate) fn heard(&mut self, now: Mono) {
        if let Some(following) = &mut self.following {
            following.fault = None;
        }
        self.contact(now, Event::News);
    }

    /// The coordinator cannot be heard.
    pub(crate) fn unheard(&mut self, why: String) {
        let Some(following) = &mut self.following else { return };
        if following.fault.as_ref() != Some(&why) {
            tracing::warn!(url = &*following.url, "the coordinator is not heard: {why}");
        }
        following.fault = Some(why);
    }

    /// Takes a whole picture of a pool over.
    ///
    /// # Errors
    /// Why it cannot be used; the one before stays.
    pub(crate) fn take_picture(&mut self, now: Mono, picture: Picture) -> Result<(), TakeError> {
        let Some(at) = self.place_followed(&picture.pool) else { return Ok(()) };
        let effects = self.pools[at].take_picture(now, picture, &mut self.ids)?;
        self.took(at, now, effects);
        Ok(())
    }

    /// Another picture of a pool is in force: who follows it hears of that.
    fn took(&mut self, at: usize, now: Mono, effects: Vec<roster::Effect>) {
        self.record_effects(at, now, effects);
        let tick = self.pools[at].followed.as_ref().map(|followed| followed.policy().tick);
        if let (Some(following), Some(tick)) = (&mut self.following, tick) {
            following.contact.expect_every(tick);
        }
        self.keep_picture(at);
        self.publish();
    }

    /// Takes over what is another in a pool.
    ///
    /// # Errors
    /// Why it does not fit what is here; that stays.
    pub(crate) fn take_changes(&mut self, now: Mono, changes: &Changes) -> Result<(), TakeError> {
        let Some(at) = self.place_followed(&changes.pool) else { return Ok(()) };
        match self.pools[at].take_changes(now, changes, &mut self.ids)? {
            Some(effects) => self.took(at, now, effects),
            // Weights are kept now and then.
            None => self.publish(),
        }
        Ok(())
    }

    /// The coordinator has no such pool.
    pub(crate) fn no_pool(&mut self, now: Mono, pool: &str) {
        let Some(at) = self.place_followed(pool) else { return };
        let why = format!("the coordinator has no pool `{pool}`: name it in its file, or take its name here");
        let event = roster::Event::Failed(COORDINATOR.into(), why);
        let effects = self.pools[at].hear_source(now, event, &mut self.ids);
        self.record_effects(at, now, effects);
    }

    /// Heeds what holds in a pool until the next beat.
    pub(crate) fn heed(&self, now: Mono, guidance: &Guidance) {
        if let Some(at) = self.place_followed(&guidance.pool) {
            self.pools[at].heed(now, guidance);
        }
    }

    /// What was counted in a pool since this was last asked.
    pub(crate) fn count(&mut self, now: Mono, pool: &str) -> Option<Counts> {
        let at = self.place_followed(pool)?;
        Some(self.pools[at].count(now))
    }

    /// The picture that an earlier process kept of a pool.
    pub(super) fn remembered(&mut self, at: usize, now: Mono) {
        let name = Arc::clone(&self.pools[at].config.name);
        let kept = self.journal.state(&key(&name)).filter(|bytes| !bytes.is_empty());
        let Some(picture) = kept.and_then(|bytes| Picture::decode(&*bytes).ok()) else { return };
        match self.pools[at].take_picture(now, picture, &mut self.ids) {
            Ok(effects) => {
                tracing::info!(pool = %name, "begins with the picture that was kept; the coordinator's follows");
                self.record_effects(at, now, effects);
            }
            Err(why) => tracing::warn!(pool = %name, "the kept picture is not used: {why}"),
        }
    }

    /// Follows the silence of the coordinator, and keeps pictures whose weights moved.
    pub(super) fn watch_contact(&mut self, now: Mono) {
        self.contact(now, Event::Due);
        if self.next_kept <= now {
            self.next_kept = now + KEEP_EVERY;
            (0..self.pools.len()).for_each(|at| self.keep_picture(at));
        }
    }

    fn contact(&mut self, now: Mono, event: Event) {
        let Some(following) = &mut self.following else { return };
        let Some(stage) = following.contact.on(now, event) else { return };
        let url = Arc::clone(&following.url);
        let sentence = match stage {
            Stage::Heard => format!("the coordinator at {url} is heard"),
            Stage::Held => format!("the coordinator at {url} is silent: its last weights stay"),
            Stage::Static => {
                format!("the coordinator at {url} has been silent for too long: the configured weights are in force")
            }
        };
        if stage == Stage::Heard {
            tracing::info!("{sentence}");
        } else {
            tracing::warn!("{sentence}");
        }
        for at in 0..self.pools.len() {
            if self.pools[at].is_followed() {
                self.pools[at].leave_alone(stage == Stage::Static);
                if stage != Stage::Heard {
                    self.pools[at].heed_nobody();
                }
                let pool = Arc::clone(&self.pools[at].config.name);
                self.news.tell(wall_millis(), &pool, None, sentence.clone(), What::Contact { stage });
            }
        }
        self.publish();
    }

    fn keep_picture(&mut self, at: usize) {
        let Some(followed) = self.pools[at].followed.as_mut().filter(|followed| followed.unkept) else { return };
        followed.unkept = false;
        let bytes = followed.picture.encode_to_vec();
        let pool = &self.pools[at].config.name;
        if let Err(why) = self.journal.keep(&key(pool), &bytes) {
            tracing::debug!(%pool, why, "the picture is not kept for a start without the coordinator");
        }
    }

    fn place_followed(&self, name: &str) -> Option<usize> {
        self.pools.iter().position(|pool| *pool.config.name == *name && pool.is_followed())
    }
}

impl Following {
    /// For status and pages.
    pub(crate) fn status(&self, now: Mono) -> FollowStatus {
        FollowStatus {
            url: Arc::clone(&self.url),
            urls: Arc::clone(&self.urls),
            term: self.term,
            stage: self.contact.stage(),
            silent_ms: crate::track::millis(now.since(self.contact.heard())),
            fault: self.fault.clone(),
        }
    }
}

/// What this gateway is called where it follows.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "gateway" } else { host.trim() };
    format!("{host}:{}", std::process::id())
}

/// Where a pool's picture stands in the store.
fn key(pool: &str) -> String {
    format!("followed/{pool}")
}

/// How often moved weights are kept; who is there is kept at once. Source: ours; a start without the coordinator goes by
/// weights that old.
const KEEP_EVERY: Span = Span::from_secs(10);
