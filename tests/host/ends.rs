//! Ends that do not fit their program.

use super::*;

/// What is said of a job whose program is this.
fn said(job: Job, program: impl Fn(&Flow) + Send + Sync + 'static) -> String {
    job.run(program).unwrap_err().to_string()
}

fn contains(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
}

#[test]
fn an_end_that_is_not_there_is_named_with_those_that_are() {
    let job = Job::new("job");
    let _orders = job.ingress::<u64>("orders", IngressOptions::new());
    let said = said(job, |flow| flow.ingress::<u64>("order").discard());
    contains(&said, &["`order`", "ends.rs", "no ingress of this name (it has `orders`)", "Job::ingress"]);
}

#[test]
fn an_end_of_another_type_is_named_with_both() {
    let job = Job::new("job");
    let _orders = job.ingress::<u64>("orders", IngressOptions::new());
    let said_of_type = said(job, |flow| flow.ingress::<u32>("orders").discard());
    contains(&said_of_type, &["`orders`", "ingress of u64", "ingress of u32", "one type in both places"]);
    let job = Job::new("job");
    let _asks = job.ask::<u64, u64>("asks", AskOptions::new());
    let said_of_kind = said(job, |flow| flow.ingress::<u64>("asks").discard());
    contains(&said_of_kind, &["`asks`", "ask of u64 and u64", "ingress of u64"]);
    let job = Job::new("job");
    let _asks = job.ask::<u64, u64>("asks", AskOptions::new());
    let said_of_reply = said(job, |flow| {
        flow.ask::<u64, u64>("asks").map(|asked| asked.reply(1u32)).reply("asks");
    });
    contains(&said_of_reply, &["`asks`", "ask of u64 and u64", "u32"]);
}

#[test]
fn a_handle_that_leads_nowhere_is_a_mistake() {
    let job = Job::new("job");
    let _orders = job.ingress::<u64>("orders", IngressOptions::new());
    let _alerts = job.egress::<u64>("alerts", EgressOptions::new());
    let _asks = job.ask::<u64, u64>("asks", AskOptions::new());
    let said = said(job, |flow| flow.ask::<u64, u64>("asks").discard());
    contains(&said, &["`orders`", "flow.ingress(..)", "`alerts`", ".egress(..)", "`asks`", ".reply(..)"]);
}

#[test]
fn two_ends_of_one_name_are_a_mistake() {
    let job = Job::new("job");
    let mut first = job.ingress::<u64>("orders", IngressOptions::new());
    let _second = job.egress::<u64>("orders", EgressOptions::new());
    assert!(first.send(1).is_err(), "the handle that lost its name is closed");
    contains(&said(job, |flow| flow.ingress::<u64>("orders").discard()), &["`orders`", "already"]);
}

#[test]
fn explain_shows_them() {
    let job = Job::new("job");
    let _orders = job.ingress::<u64>("orders", IngressOptions::new());
    let _alerts = job.egress::<u64>("alerts", EgressOptions::new());
    let explained = job.explain(|flow| flow.ingress::<u64>("orders").egress("alerts")).unwrap().to_string();
    contains(&explained, &["orders", "alerts"]);
}
