//! The scalers of KEDA: by which number each divides what it measures, and what that is.
//!
//! kedacore/keda 2.21 `pkg/scalers/*_scaler.go`; `tests/fields.rs` holds the rows against
//! the struct tags there, type by type and default by default.

/// What a target counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Work that waits: messages, jobs, rows, entries.
    Items,
    /// A rate, a ratio, a percentage, a time, bytes.
    Load,
    /// Pods of another workload.
    Pods,
    /// Replicas at an hour of the day.
    Calendar,
    /// Whatever the query or the other side says.
    Query,
    /// The gateway's own hold, which is no queue.
    Hold,
}

/// In which mode of the scaler a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// A key has this value.
    Is(&'static str, &'static str),
    /// A key has a value.
    Has(&'static str),
    /// A key has none.
    Lacks(&'static str),
}

impl When {
    /// `text` gives the value of a key, empty where there is none.
    pub fn holds<'a>(self, text: impl Fn(&str) -> &'a str) -> bool {
        match self {
            When::Always => true,
            When::Is(key, value) => text(key) == value,
            When::Has(key) => !text(key).is_empty(),
            When::Lacks(key) => text(key).is_empty(),
        }
    }
}

/// A key that holds a target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub key: &'static str,
    /// `None` where KEDA has none and refuses the trigger.
    pub default: Option<f64>,
    pub unit: Unit,
    pub when: When,
}

#[derive(Clone, Copy, Debug)]
pub struct Scaler {
    /// The trigger type.
    pub kind: &'static str,
    /// The first that applies is the one that counts. None where no key says it.
    pub targets: &'static [Target],
    /// What an absent `activation…` means: up to so much the target stays idle.
    pub idle_up_to: f64,
    /// Keys that are read and change nothing.
    pub ignores: &'static [&'static str],
    /// What KEDA takes for other keys that are absent.
    pub defaults: &'static [(&'static str, &'static str)],
}

/// The key of a target that no key sets.
pub const FIXED: &str = "";

const fn target(key: &'static str, default: Option<f64>, unit: Unit, when: When) -> Target {
    Target { key, default, unit, when }
}

const fn scaler(kind: &'static str, targets: &'static [Target]) -> Scaler {
    Scaler { kind, targets, idle_up_to: 0.0, ignores: &[], defaults: &[] }
}

impl Scaler {
    const fn idle_up_to(self, idle_up_to: f64) -> Self {
        Self { idle_up_to, ..self }
    }

    const fn ignoring(self, ignores: &'static [&'static str]) -> Self {
        Self { ignores, ..self }
    }

    const fn defaults(self, defaults: &'static [(&'static str, &'static str)]) -> Self {
        Self { defaults, ..self }
    }

    /// What KEDA takes for a key that is absent; empty where it takes nothing.
    pub fn default_of(&self, key: &str) -> &'static str {
        self.defaults.iter().find(|d| d.0 == key).map_or("", |d| d.1)
    }

    /// The scaler of a trigger type.
    pub fn of(kind: &str) -> Option<&'static Scaler> {
        SCALERS.binary_search_by(|s| s.kind.cmp(kind)).ok().and_then(|i| SCALERS.get(i))
    }
}

use Unit::{Calendar, Items, Load, Pods, Query};
use When::{Always, Has, Is, Lacks};

/// Sorted by trigger type.
#[rustfmt::skip]
pub const SCALERS: &[Scaler] = &[
    scaler("activemq", &[target("targetQueueSize", Some(10.0), Items, Always)]),
    scaler("apache-kafka", &[target("lagThreshold", Some(10.0), Items, Always)]).defaults(&[("allowIdleConsumers", "false"), ("ensureEvenDistributionOfPartitions", "false"), ("excludePersistentLag", "false"), ("limitToPartitionsWithLag", "false"), ("offsetResetPolicy", "latest"), ("sasl", "none"), ("scaleToZeroOnInvalidOffset", "false"), ("tls", "disable")]),
    scaler("arangodb", &[target("queryValue", None, Query, Always)]).ignoring(&["connectionLimit"]).defaults(&[("connectionLimit", "0"), ("method", "header"), ("unsafeSsl", "false")]),
    scaler("artemis-queue", &[target("queueLength", Some(10.0), Items, Always)]).idle_up_to(10.0).defaults(&[("unsafeSsl", "false")]),
    scaler("aws-cloudwatch", &[target("targetMetricValue", None, Query, Always)]).defaults(&[("ignoreNullValues", "true"), ("metricCollectionTime", "300"), ("metricEndTimeOffset", "0"), ("metricStat", "Average"), ("metricStatPeriod", "300")]),
    scaler("aws-dynamodb", &[target("targetValue", None, Query, Always)]),
    scaler("aws-dynamodb-streams", &[target("shardCount", Some(2.0), Load, Always)]),
    scaler("aws-kinesis-stream", &[target("shardCount", Some(2.0), Load, Always)]),
    scaler("aws-sqs-queue", &[target("queueLength", Some(5.0), Items, Always)]).defaults(&[("scaleOnDelayed", "false"), ("scaleOnInFlight", "true")]),
    scaler("azure-app-insights", &[target("targetValue", None, Query, Always)]).defaults(&[("ignoreNullValues", "false")]),
    scaler("azure-blob", &[target("blobCount", Some(5.0), Items, Always)]).defaults(&[("blobDelimiter", "/"), ("recursive", "false")]),
    scaler("azure-cosmosdb", &[target("changeFeedLagThreshold", Some(100.0), Items, Always)]),
    scaler("azure-data-explorer", &[target("threshold", None, Query, Always)]),
    scaler("azure-eventhub", &[target("unprocessedEventThreshold", Some(64.0), Items, Always)]).defaults(&[("consumerGroup", "$Default"), ("stalePartitionInfoThreshold", "10000")]),
    scaler("azure-log-analytics", &[target("threshold", None, Query, Always)]).defaults(&[("cloud", "azurePublicCloud"), ("unsafeSsl", "false")]),
    scaler("azure-monitor", &[target("targetValue", None, Query, Always)]),
    scaler("azure-pipelines", &[target("targetPipelinesQueueLength", Some(1.0), Items, Always)]).defaults(&[("caseInsensitiveDemandsProcessing", "false"), ("fetchUnfinishedJobsOnly", "false"), ("jobsToFetch", "250"), ("poolID", "0"), ("requireAllDemands", "false"), ("requireAllDemandsAndIgnoreOthers", "false"), ("scaleOnInFlight", "true")]),
    scaler("azure-queue", &[target("queueLength", Some(5.0), Items, Always)]).defaults(&[("queueLengthStrategy", "all")]),
    scaler("azure-servicebus", &[target("messageCount", Some(5.0), Items, Always)]).defaults(&[("operation", "sum"), ("useRegex", "false")]),
    scaler("beanstalkd", &[target("value", None, Items, Always)]).defaults(&[("includeDelayed", "false"), ("timeout", "30")]),
    scaler("cassandra", &[target("targetQueryValue", None, Query, Always)]).defaults(&[("consistency", "one"), ("port", "0"), ("protocolVersion", "4")]),
    scaler("clickhouse", &[target("targetQueryValue", None, Query, Always)]).defaults(&[("maxIdleConns", "0"), ("maxOpenConns", "0")]),
    scaler("couchdb", &[target("queryValue", None, Query, Always)]),
    scaler("cpu", &[target("value", None, Load, Always)]),
    scaler("cron", &[target("desiredReplicas", None, Calendar, Always)]),
    scaler("datadog", &[target("targetValue", None, Query, Has("targetValue")), target("queryValue", None, Query, Always)]).ignoring(&["hpaMetricName"]).defaults(&[("age", "90"), ("lastAvailablePointOffset", "0"), ("method", "header"), ("timeWindowOffset", "0"), ("useClusterAgentProxy", "false")]),
    scaler("dynatrace", &[target("threshold", None, Query, Always)]).defaults(&[("queryPollingTries", "5"), ("queryPollingWait", "1s"), ("queryTimeoutSeconds", "10")]),
    scaler("elastic-forecast", &[target("targetValue", None, Query, Always)]).defaults(&[("index", "*"), ("lookAhead", "10m"), ("unsafeSsl", "false")]),
    scaler("elasticsearch", &[target("targetValue", None, Query, Always)]).ignoring(&["metricName"]).defaults(&[("ignoreNullValues", "false"), ("unsafeSsl", "false")]),
    scaler("etcd", &[target("value", None, Query, Always)]).defaults(&[("watchProgressNotifyInterval", "600")]),
    scaler("external", &[]).defaults(&[("enableTLS", "false"), ("unsafeSsl", "false")]),
    scaler("external-push", &[]).defaults(&[("enableTLS", "false"), ("unsafeSsl", "false")]),
    scaler("forgejo-runner", &[target(FIXED, Some(1.0), Items, Always)]).defaults(&[("global", "false")]),
    scaler("gcp-cloudtasks", &[target("value", Some(100.0), Items, Always)]).ignoring(&["credentials"]).defaults(&[("filterDuration", "0")]),
    scaler("gcp-pubsub", &[target("value", Some(10.0), Items, Lacks("mode")), target("value", Some(10.0), Items, Is("mode", "SubscriptionSize")), target("value", Some(10.0), Items, Is("mode", "NumUndeliveredMessages")), target("value", Some(10.0), Items, Is("mode", "num_undelivered_messages")), target("value", Some(10.0), Load, Always)]).ignoring(&["credentials"]).defaults(&[("mode", "SubscriptionSize"), ("subscriptionSize", "0")]),
    scaler("gcp-spanner", &[target("targetValue", Some(5.0), Query, Always)]).ignoring(&["credentials"]),
    scaler("gcp-stackdriver", &[target("targetValue", Some(5.0), Query, Always)]).ignoring(&["credentials"]).defaults(&[("alignmentPeriodSeconds", "0"), ("filterDuration", "0")]),
    scaler("gcp-storage", &[target("targetObjectCount", Some(100.0), Items, Always)]).ignoring(&["credentials"]).defaults(&[("maxBucketItemsToScan", "1000")]),
    scaler("github-runner", &[target("targetWorkflowQueueLength", Some(1.0), Items, Always)]).defaults(&[("applicationID", "0"), ("enableEtags", "false"), ("githubApiURL", "https://api.github.com"), ("installationID", "0"), ("matchUnlabeledJobsWithUnlabeledRunners", "false"), ("method", "header"), ("noDefaultLabels", "false")]),
    scaler("graphite", &[target("threshold", Some(100.0), Query, Always)]).defaults(&[("method", "header")]),
    scaler("huawei-cloudeye", &[target("targetMetricValue", None, Query, Always)]).defaults(&[("metricCollectionTime", "300"), ("metricFilter", "average"), ("metricPeriod", "300")]),
    scaler("ibmmq", &[target("queueDepth", Some(20.0), Items, Always)]).defaults(&[("operation", "max"), ("unsafeSsl", "false")]),
    scaler("influxdb", &[target("thresholdValue", None, Query, Always)]).defaults(&[("influxVersion", "2"), ("queryType", "InfluxQL"), ("unsafeSsl", "false")]),
    scaler("kafka", &[target("lagThreshold", Some(10.0), Items, Always)]).defaults(&[("allowIdleConsumers", "false"), ("ensureEvenDistributionOfPartitions", "false"), ("excludePersistentLag", "false"), ("fullMetadata", "true"), ("limitToPartitionsWithLag", "false"), ("offsetResetPolicy", "latest"), ("scaleToZeroOnInvalidOffset", "false"), ("tls", "disable"), ("unsafeSsl", "false")]),
    scaler("kubernetes-resource", &[target("targetValue", None, Query, Always)]).defaults(&[("format", "number"), ("valueType", "float64")]),
    scaler("kubernetes-workload", &[target("value", None, Pods, Always)]).defaults(&[("groupByNode", "false")]),
    scaler("liiklus", &[target("lagThreshold", Some(10.0), Items, Always)]).defaults(&[("groupVersion", "0")]),
    scaler("loki", &[target("threshold", None, Query, Always)]).defaults(&[("ignoreNullValues", "true"), ("method", "header"), ("unsafeSsl", "false")]),
    scaler("memory", &[target("value", None, Load, Always)]),
    scaler("metrics-api", &[target("targetValue", None, Query, Always)]).defaults(&[("aggregateFromKubeServiceEndpoints", "false"), ("aggregationType", "average"), ("format", "json"), ("method", "header"), ("unsafeSsl", "false")]),
    scaler("mongodb", &[target("queryValue", None, Query, Always)]).defaults(&[("scheme", "mongodb")]),
    scaler("mssql", &[target("targetValue", None, Query, Always)]).defaults(&[("driverName", "sqlserver"), ("port", "0")]),
    scaler("mysql", &[target("queryValue", None, Query, Always)]).ignoring(&["metricName"]),
    scaler("nats-jetstream", &[target("lagThreshold", Some(10.0), Items, Always)]).defaults(&[("useHttps", "false")]),
    scaler("new-relic", &[target("threshold", None, Query, Always)]).defaults(&[("account", "0"), ("noDataError", "false"), ("region", "US")]),
    scaler("nsq", &[target("depthThreshold", Some(10.0), Items, Always)]).defaults(&[("unsafeSsl", "false"), ("useHttps", "false")]),
    scaler("opensearch", &[target("targetValue", None, Query, Always)]).ignoring(&["metricName"]).defaults(&[("enableTLS", "false"), ("ignoreNullValues", "false"), ("unsafeSsl", "false")]),
    scaler("openstack-metric", &[target("threshold", None, Query, Always)]).defaults(&[("granularity", "0"), ("timeout", "30")]),
    scaler("openstack-swift", &[target("objectCount", Some(2.0), Items, Always)]).ignoring(&["objectDelimiter", "objectLimit", "objectPrefix", "onlyFiles", "timeout"]).defaults(&[("onlyFiles", "false"), ("timeout", "30")]),
    scaler("postgresql", &[target("targetQueryValue", None, Query, Always)]),
    scaler("predictkube", &[target("threshold", None, Query, Always)]).defaults(&[("method", "header")]),
    scaler("prometheus", &[target("threshold", None, Query, Always)]).defaults(&[("ignoreNullValues", "true"), ("method", "header"), ("unsafeSsl", "false")]),
    scaler("pulsar", &[target("msgBacklogThreshold", Some(10.0), Items, Always)]).defaults(&[("isPartitionedTopic", "false"), ("method", "header")]),
    scaler("rabbitmq", &[target("value", None, Items, Is("mode", "QueueLength")), target("value", None, Load, Is("mode", "MessageRate")), target("value", None, Load, Is("mode", "DeliverGetRate")), target("value", None, Load, Is("mode", "PublishedToDeliveredRatio")), target("value", None, Load, Is("mode", "ExpectedQueueConsumptionTime")), target("queueLength", Some(20.0), Items, Always)]).defaults(&[("excludeUnacknowledged", "false"), ("method", "header"), ("mode", "Unknown"), ("operation", "sum"), ("pageSize", "100"), ("protocol", "auto"), ("unsafeSsl", "false"), ("useRegex", "false")]),
    scaler("redis", &[target("listLength", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("redis-cluster", &[target("listLength", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("redis-cluster-streams", &[target("streamLength", Some(5.0), Items, Lacks("consumerGroup")), target("lagCount", None, Items, Has("lagCount")), target("pendingEntriesCount", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("redis-sentinel", &[target("listLength", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("redis-sentinel-streams", &[target("streamLength", Some(5.0), Items, Lacks("consumerGroup")), target("lagCount", None, Items, Has("lagCount")), target("pendingEntriesCount", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("redis-streams", &[target("streamLength", Some(5.0), Items, Lacks("consumerGroup")), target("lagCount", None, Items, Has("lagCount")), target("pendingEntriesCount", Some(5.0), Items, Always)]).defaults(&[("databaseIndex", "0"), ("unsafeSsl", "false")]),
    scaler("selenium-grid", &[target(FIXED, Some(1.0), Items, Always)]).defaults(&[("enableManagedDownloads", "true"), ("includeOngoingSessions", "true"), ("nodeMaxSessions", "1"), ("unsafeSsl", "false")]),
    scaler("solace-direct-messaging", &[target("aggregatedClientTxByteRateTarget", None, Load, Has("aggregatedClientTxByteRateTarget")), target("aggregatedClientAverageTxByteRateTarget", None, Load, Has("aggregatedClientAverageTxByteRateTarget")), target("aggregatedClientTxMsgRateTarget", None, Load, Has("aggregatedClientTxMsgRateTarget")), target("aggregatedClientAverageTxMsgRateTarget", None, Load, Has("aggregatedClientAverageTxMsgRateTarget"))]).ignoring(&["activationAggregatedClientAverageTxByteRateTarget", "activationAggregatedClientAverageTxMsgRateTarget", "activationAggregatedClientTxByteRateTarget", "activationAggregatedClientTxMsgRateTarget"]).defaults(&[("queuedMessagesFactor", "3"), ("unsafeSSL", "false")]),
    scaler("solace-event-queue", &[target("messageCountTarget", None, Items, Has("messageCountTarget")), target("messageSpoolUsageTarget", None, Load, Has("messageSpoolUsageTarget")), target("messageReceiveRateTarget", None, Load, Has("messageReceiveRateTarget"))]),
    scaler("solarwinds", &[target("targetValue", None, Query, Always)]).defaults(&[("intervalS", "0")]),
    scaler("solr", &[target("targetQueryValue", None, Query, Always)]),
    scaler("splunk", &[target("targetValue", None, Query, Always)]).defaults(&[("unsafeSsl", "false")]),
    scaler("splunk-observability", &[target("targetValue", None, Query, Always)]).defaults(&[("duration", "0"), ("queryAggregator", "avg")]),
    scaler("sumologic", &[target("threshold", None, Query, Always)]).defaults(&[("ignoreNullValues", "false"), ("maxRetries", "0"), ("queryAggregator", "Avg"), ("rollup", "Avg"), ("timezone", "UTC"), ("unsafeSsl", "false")]),
    scaler("temporal", &[target("targetQueueSize", Some(5.0), Items, Always)]).defaults(&[("enableTLS", "true"), ("includeRunningWorkflowCount", "false"), ("minConnectTimeout", "5"), ("namespace", "default"), ("selectAllActive", "false"), ("selectUnversioned", "false"), ("unsafeSsl", "false")]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_type() {
        for scaler in SCALERS {
            assert!(Scaler::of(scaler.kind).is_some(), "{} is out of order", scaler.kind);
        }
        assert!(Scaler::of("no-such-scaler").is_none());
    }
}
