//! A request of a gateway that asks first whether it is to be served ([`crate::admission`]).
//!
//! ```text
//! ask ── permit ── answered as ever ── head: what the permit says goes with it ── the answer ends: so does the permit
//!    \ 503
//! ```

use ambidex_http1::{Name, ResponseHead};
use http::Method;

use super::answer::Notes;
use super::exchange::{Client, Errand, Reply};
use super::pulse::InService;
use crate::admission::{Admission, Admitted, Lines};
use crate::reason::Reason;
use crate::request::Request;

impl Client {
    /// Answers one request, if `admission` lets it in.
    pub(super) async fn gated(
        &self,
        admission: &dyn Admission,
        request: &Request,
        service: InService,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Reply {
        let asked = request.head.head();
        let told = match admission.ask(&|name| asked.get(name.as_bytes()).map(|value| value.as_bytes())) {
            Admitted::Now(permit) => Ok(permit),
            Admitted::Later(turn) => turn.await,
            Admitted::Never(lines) => Err(lines),
        };
        let mut permit = match told {
            Ok(permit) => permit,
            Err(lines) => return self.shed(request, service, lines),
        };
        let mut reply = self.admitted(request, service, interim).await;
        let status = reply.status();
        match &mut reply {
            Reply::Relayed(relayed) => {
                let head = relayed.head.head();
                let lines = permit.answered(status, &|name| head.get(name.as_bytes()).map(|value| value.as_bytes()));
                relayed.notes.add_lines(lines);
                if !permit.is_over() {
                    relayed.relay.hold(permit);
                }
            }
            Reply::Own(own) => {
                own.notes.add_lines(permit.answered(status, &|_| None));
                own.service.permit = Some(permit);
            }
            // What follows is no answer: it ends when either side likes.
            Reply::Switched(..) => drop(permit.answered(status, &|_| None)),
        }
        reply
    }

    fn shed(&self, request: &Request, service: InService, lines: Lines) -> Reply {
        let (_, entry) = self.begin(Some(request));
        let mut own = Errand { entry, service }.own(Reason::Shed);
        own.notes.add_lines(lines);
        let reply = own.told(&self.thread, *request.head.method() == Method::HEAD);
        self.thread.stats.answered(reply.status());
        reply
    }
}

impl Notes {
    fn add_lines(&mut self, lines: Lines) {
        for (name, text) in lines {
            if let Some(name) = Name::checked(name.as_bytes()) {
                self.add(name, &text);
            }
        }
    }
}
