//! The smallest program with a job inside: words go in, counts come out.

use std::error::Error;

use millstream::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let job = Job::new("embedded");
    let mut words = job.ingress::<String>("words", IngressOptions::new());
    let counts = job.egress::<(String, u64)>("counts", EgressOptions::new());
    let running = job.spawn(|flow| {
        flow.ingress::<String>("words").key_by_ref(|word| word.as_str()).count().egress("counts");
    })?;
    for word in "to be or not to be".split(' ') {
        words.send(word.to_owned())?;
    }
    // Nothing more comes: the stream ends, and the job with it.
    drop(words);
    for (word, count) in counts {
        println!("({word},{count})");
    }
    running.wait()?;
    Ok(())
}
