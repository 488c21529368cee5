//! What to do: for each cause what helps at once, by routing, and what mends it for good.

use serde::Serialize;

use super::Cause;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Remedies {
    /// At once, by routing.
    pub immediate: &'static str,
    /// For good.
    pub durable: &'static str,
    /// What kind of change that is.
    pub class: Class,
}

/// What kind of change a remedy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Of settings.
    Configuration,
    /// Of code.
    Code,
    /// Of what is where.
    Architecture,
}

/// Of a cause.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(in crate::doctor) const fn remedies(cause: Cause) -> Remedies {
    let (immediate, class, durable) = match cause {
        Cause::HotKey => (
            "give the node fewer other keys (less weight), or isolate the key on a node of its own",
            Class::Architecture,
            "split or salt the key, cache what is read of it, or give the tenant a shard or limits of its own",
        ),
        Cause::BiasedPartitioner => (
            "move slices from the node to others (weights by slices, more virtual nodes)",
            Class::Code,
            "a partitioner that spreads the keys there are: hash before taking ranges, no monotone keys, more virtual nodes",
        ),
        Cause::OneClient => (
            "limit the client's rate, or give the node less weight while it calls",
            Class::Code,
            "let the client spread its calls (more connections, load balancing at the client), or serve it apart",
        ),
        Cause::StickySessions => (
            "give the node less weight for new sessions; bound what affinity may add (bounded loads)",
            Class::Architecture,
            "sessions that any node can serve (a shared store), or affinity with bounded loads",
        ),
        Cause::RouteAffinity => (
            "let more nodes serve the route, or take weight from those that do",
            Class::Configuration,
            "a pool of its own for the route, or routing rules that do not bind it to few nodes",
        ),
        Cause::Weights => (
            "set its weight to what it can carry",
            Class::Configuration,
            "weights by measured capacity that follow what changes",
        ),
        Cause::ConnectionSkew => (
            "close surplus connections to the node (limit requests or age per connection)",
            Class::Configuration,
            "bounded age of connections, more connections per client, or balancing by request",
        ),
        Cause::NarrowCaller => (
            "let the caller resolve and connect anew (restart it, or close its connections to the node)",
            Class::Configuration,
            "at the caller: shorter DNS caching, bounded age of connections (gRPC: max_connection_age, round_robin instead of pick_first), \
             larger or random subsets; or balance by request in between",
        ),
        Cause::Locality => (
            "let the zone spill over to others",
            Class::Configuration,
            "capacity by zone as clients are spread, or zone weights by capacity",
        ),
        Cause::RetryAmplification => (
            "bound retries by a budget (10 % of requests)",
            Class::Configuration,
            "retry budgets everywhere, retries to another node, deadlines that travel",
        ),
        Cause::EjectionFlapping => (
            "hold the node out longer before it comes back, and let it come back slowly",
            Class::Configuration,
            "health checks with hysteresis, and the reason why it fails under load",
        ),
        Cause::Hardware => (
            "give the node less weight, as much as it is slower",
            Class::Configuration,
            "replace or move it; weights by measured capacity for unlike machines",
        ),
        Cause::Interrupts => (
            "give the node less weight",
            Class::Configuration,
            "spread them over cores: more queues of the card (ethtool -L), lines on cores of their own (irqbalance, smp_affinity), \
             packets handed on (RPS: rps_cpus); keep the worker's threads off the cores that serve them",
        ),
        Cause::RemoteMemory => (
            "give the node less weight",
            Class::Configuration,
            "bind the worker's threads and memory to one NUMA node (numactl, cpuset.cpus and cpuset.mems, Kubernetes' topology manager), \
             or run one worker a NUMA node",
        ),
        Cause::Quota => (
            "raise its limit of CPU time, or give the node less weight",
            Class::Configuration,
            "limits by what it needs at its peak, or requests without limits; as many threads as the quota has CPUs",
        ),
        Cause::GarbageCollection => (
            "give the node less weight, or restart it if its heap only grows",
            Class::Code,
            "a larger heap or another collector, and the allocation that makes the pressure",
        ),
        Cause::ColdCache => (
            "let it warm up slowly (slow start)",
            Class::Configuration,
            "slow start for every node that begins, or a cache that is warmed or shared",
        ),
        Cause::Cron => (
            "give the node less weight while the job runs",
            Class::Configuration,
            "move the job to a machine of its own, or to hours of little load",
        ),
        Cause::Unknown => (
            "give the node less weight, as much as it has more",
            Class::Configuration,
            "look at what the node does that its peers do not",
        ),
    };
    Remedies { immediate, durable, class }
}
