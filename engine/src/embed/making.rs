//! How the ends of a job are made, and found again by its program.

use std::path::Path;
use std::sync::Arc;

use super::ask::{Ask, AskOptions, AskSource, Asked, Desk, ReplySink};
use super::egress::{Egress, EgressOptions, EgressSink, Outlets};
use super::endpoints::{Endpoint, Endpoints, NoSuchEnd};
use super::ingress::{Hub, Ingress, IngressOptions, IngressSource};
use crate::job::{Job, JobError, JobStatus};
use crate::record::{Field, Record};

impl Job {
    /// A way for records of the host program into this job, under a name that the job's program reads it by
    /// ([`Flow::ingress`](crate::graph::Flow::ingress)). Made before the job is started; mistakes in the options show then.
    pub fn ingress<T: Record + Send>(&self, name: &str, options: IngressOptions) -> Ingress<T> {
        let checked = options.check();
        let hub = Arc::new(Hub::new(name.to_owned(), options));
        let handle = Ingress::new(hub.clone());
        self.endpoints.add("ingress", words::<T>(), name, checked, Arc::new(IngressEnd(hub)));
        handle
    }

    /// A way for records of this job to the host program, under a name that the job's program writes it by
    /// ([`Stream::egress`](crate::stream::Stream::egress)). Made before the job is started; mistakes in the options show then.
    pub fn egress<T: Record + Send>(&self, name: &str, options: EgressOptions) -> Egress<T> {
        let checked = options.check();
        let outlets = Arc::new(Outlets::new(name.to_owned(), options));
        let handle = Egress::new(outlets.clone());
        self.endpoints.add("egress", words::<T>(), name, checked, Arc::new(EgressEnd(outlets)));
        handle
    }

    /// A way for the host program to ask this job, under a name that the job's program takes requests by
    /// ([`Flow::ask`](crate::graph::Flow::ask)) and replies by ([`Stream::reply`](crate::stream::Stream::reply)). Made before the job is started;
    /// mistakes in the options show then.
    pub fn ask<Q: Field + Send, R: Field + Send>(&self, name: &str, options: AskOptions) -> Ask<Q, R> {
        let checked = options.check();
        // One lane has room for all calls that can be under way.
        let mut requests = IngressOptions::new().capacity(options.in_flight.max(1));
        if let Some(journal) = options.journal.clone() {
            requests = requests.journal(journal);
        }
        let hub = Arc::new(Hub::new(name.to_owned(), requests));
        let needs_checkpoints = options.needs_checkpoints();
        let desk = Arc::new(Desk::new(options));
        let handle = Ask::new(hub.clone(), desk.clone());
        let end = AskEnd { name: name.to_owned(), needs_checkpoints, requests: IngressEnd(hub), desk };
        self.endpoints.add("ask", pair::<Q, R>(), name, checked, Arc::new(end));
        handle
    }
}

impl Endpoints {
    /// The source that reads an ingress.
    pub(crate) fn ingress_source<T: Record + Send>(
        &self,
        name: &str,
    ) -> (IngressSource<T>, Option<NoSuchEnd>) {
        let (end, error) = split(self.get::<IngressEnd<T>>("ingress", &words::<T>(), name));
        (IngressSource::new(end.map(|end| end.0.clone())), error)
    }

    /// The sink that writes an egress, and whether it holds records back until they are durable.
    pub(crate) fn egress_sink<T: Record + Clone + Send>(
        &self,
        name: &str,
    ) -> (EgressSink<T>, bool, Option<NoSuchEnd>) {
        let (end, error) = split(self.get::<EgressEnd<T>>("egress", &words::<T>(), name));
        let durable = end.as_ref().is_some_and(|end| end.0.options.is_durable());
        (EgressSink::new(end.map(|end| end.0.clone())), durable, error)
    }

    /// The source that takes requests.
    pub(crate) fn ask_source<Q: Field + Send, R: Field + Send>(
        &self,
        name: &str,
    ) -> (AskSource<Q, R>, Option<NoSuchEnd>) {
        let (end, error) = split(self.get::<AskEnd<Q, R>>("ask", &pair::<Q, R>(), name));
        let hub = end.as_ref().map(|end| end.requests.0.clone());
        (AskSource::new(IngressSource::new(hub), end.map(|end| end.desk.clone())), error)
    }

    /// The sink that replies to requests of whichever type.
    pub(crate) fn reply_sink<R: Field + Clone + Send>(
        &self,
        name: &str,
    ) -> (ReplySink<R>, Option<NoSuchEnd>) {
        let (desk, error) = split(self.part::<Arc<Desk<R>>>("ask", &words::<R>(), name));
        (ReplySink::new(desk), error)
    }
}

fn split<E>(found: Result<E, NoSuchEnd>) -> (Option<E>, Option<NoSuchEnd>) {
    match found {
        Ok(end) => (Some(end), None),
        Err(error) => (None, Some(error)),
    }
}

/// What a type is called in messages.
fn words<T: 'static>() -> String {
    std::any::type_name::<T>().to_owned()
}

fn pair<Q: 'static, R: 'static>() -> String {
    format!("{} and {}", words::<Q>(), words::<R>())
}

/// What is durable waits for checkpoints, and somebody waits for that.
fn has_checkpoints(
    kind: &'static str,
    name: &str,
    state_dir: Option<&Path>,
    other_remedy: &str,
) -> Result<(), JobError> {
    if state_dir.is_some() {
        return Ok(());
    }
    let problem = format!(
        "`{name}`: what is durable waits for a checkpoint, and a job without a state directory makes none; give it one with Job::state_dir, or \
         {other_remedy}"
    );
    Err(JobError::Setting { setting: kind, problem })
}

struct IngressEnd<T: Record + Send>(Arc<Hub<T>>);

impl<T: Record + Send> Endpoint for IngressEnd<T> {
    fn start(&self, state_dir: Option<&Path>) -> Result<(), JobError> {
        self.0.clone().start(state_dir)
    }

    fn close(&self, status: JobStatus) {
        self.0.close(status);
    }
}

struct EgressEnd<T: Send>(Arc<Outlets<T>>);

impl<T: Send> Endpoint for EgressEnd<T> {
    fn start(&self, state_dir: Option<&Path>) -> Result<(), JobError> {
        if self.0.options.is_durable() {
            has_checkpoints("egress", &self.0.name, state_dir, "leave EgressOptions::durable out")?;
        }
        Ok(())
    }

    fn close(&self, status: JobStatus) {
        self.0.close(status);
    }
}

struct AskEnd<Q: Field + Send, R: Field + Send> {
    name: String,
    needs_checkpoints: bool,
    requests: IngressEnd<Asked<Q>>,
    desk: Arc<Desk<R>>,
}

impl<Q: Field + Send, R: Field + Send> Endpoint for AskEnd<Q, R> {
    fn start(&self, state_dir: Option<&Path>) -> Result<(), JobError> {
        if self.needs_checkpoints {
            has_checkpoints("ask", &self.name, state_dir, "choose Level::Computed")?;
        }
        if state_dir.is_none() {
            self.desk.is_never_durable();
        }
        self.requests.start(state_dir)
    }

    fn close(&self, status: JobStatus) {
        self.requests.close(status);
        self.desk.close(status);
    }

    fn part(&self) -> Option<Box<dyn std::any::Any>> {
        Some(Box::new(self.desk.clone()))
    }
}
