//! Tells a collector how things stand, again and again.
//!
//! **Owns** nothing. **Fails** never: a store that is away is left out. **Limits**: once in `metrics.export_interval`.

use crate::metrics::{MetricsConfig, otlp};
use crate::supervision::{Actor, ActorError, ChildSpec, Context};
use crate::work::ticker::Ticker;

use super::sampler::Sampler;

const ID: &str = "metrics_teller";

/// What the teller is told.
pub enum TellerMessage {
    /// Time to look.
    Tell,
}

/// The actor.
pub struct Teller {
    sampler: Sampler,
    _ticker: Ticker,
}

impl Teller {
    /// The teller as a child, or the reason why there is none.
    pub fn spec(config: &MetricsConfig, sampler: &Sampler) -> ChildSpec {
        if !config.otlp {
            return ChildSpec::disabled(ID, "metrics.otlp is false");
        }
        let (sampler, interval) = (sampler.clone(), config.export_interval);
        let (_, spec) = ChildSpec::worker(ID, move |context: Context<TellerMessage>| {
            let sampler = sampler.clone();
            async move {
                // Whoever is told first need not wait for the first interval.
                let first = context.myself.clone();
                tokio::spawn(async move { first.send(TellerMessage::Tell).await });
                let ticker = Ticker::start(context.myself, interval, None, || TellerMessage::Tell);
                Ok(Self { sampler, _ticker: ticker })
            }
        });
        spec
    }
}

impl Actor for Teller {
    type Message = TellerMessage;

    async fn handle(&mut self, message: TellerMessage) -> Result<(), ActorError> {
        match message {
            TellerMessage::Tell => otlp::publish(self.sampler.readings().await),
        }
        Ok(())
    }
}
