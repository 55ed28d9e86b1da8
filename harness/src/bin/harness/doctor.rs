//! `harness doctor`: asks the cluster, Envoy and a gateway, and hands what they
//! say to [`harness::doctor`].

use crate::client::Client;
use anyhow::{bail, Context, Result};
use gate::time::Timestamp;
use gate::verdict::config_map_name;
use harness::doctor::{self, Fault, Lane};
use harness::scenario::run::Modules;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

const POLICIES: &str = "clusteradmissionpolicies.policies.kubewarden.io";
/// Every kind that the policy judges.
const METADATA: &str = include_str!("../../../../policy/metadata.yml");

struct Kubectl<'a> {
    program: &'a str,
    kubeconfig: Option<&'a str>,
}

impl Kubectl<'_> {
    /// Whether it succeeded, and what it printed.
    fn run(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = Command::new(self.program);
        if let Some(file) = self.kubeconfig {
            command.args(["--kubeconfig", file]);
        }
        let output = command.args(arguments).output().with_context(|| self.program.to_owned())?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Ok((output.status.success(), String::from_utf8_lossy(&text).trim().to_owned()))
    }

    fn get(&self, arguments: &[&str]) -> Result<Value> {
        let all = [&["get", "-o", "json", "--show-managed-fields"], arguments].concat();
        let (done, text) = self.run(&all)?;
        if !done {
            bail!("kubectl get {}: {text}", arguments.join(" "));
        }
        Ok(serde_json::from_str(&text)?)
    }

    fn items(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        Ok(self.get(arguments)?["items"].as_array().cloned().unwrap_or_default())
    }

    /// Whether an account may do something.
    fn may(&self, account: &str, verb: &str, resource: &str, namespace: &str) -> Result<bool> {
        let (_, text) = self.run(&[
            "auth",
            "can-i",
            verb,
            resource,
            "--namespace",
            namespace,
            "--as",
            account,
        ])?;
        // An authorizer's reason may stand behind it.
        let last = text.lines().last().unwrap_or_default();
        match last.split(" - ").next() {
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            _ => bail!("kubectl auth can-i: {last}"),
        }
    }
}

pub fn main(args: &[String]) -> Result<ExitCode> {
    let known = [
        "kubectl",
        "kubeconfig",
        "policy-server",
        "admin",
        "gateway",
        "token-file",
        "kube-token",
        "ca",
        "dist",
    ];
    let (options, files) = super::options(args, &known)?;
    if !files.is_empty() {
        bail!("doctor takes no files: it asks the cluster for the policies that are applied");
    }
    let kubectl = Kubectl {
        program: options.get("kubectl").copied().unwrap_or("kubectl"),
        kubeconfig: options.get("kubeconfig").copied(),
    };
    let mut faults = vec![];
    let asked = ask(&kubectl, &options, &mut faults);
    for fault in &faults {
        println!("FAULT  {fault}");
    }
    asked?;
    if faults.is_empty() {
        println!("nothing is wrong");
    }
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

/// Asks everybody, as far as they answer.
fn ask(kubectl: &Kubectl, options: &BTreeMap<&str, &str>, faults: &mut Vec<Fault>) -> Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis())?);
    if let Some(file) = options.get("kube-token") {
        let secret = std::fs::read_to_string(file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        faults.extend(doctor::tokens::of_api_server(file, &secret, now));
    }
    let policies = doctor::policies::own(&kubectl.items(&[POLICIES])?);
    faults.extend(doctor::policies::check(&policies, &serde_yaml_ng::from_str(METADATA)?));
    // Of a gateway that is not asked the default is taken.
    let mut lowers = true;
    if let Some(url) = options.get("admin") {
        let (info, dump) = (admin(url, "/server_info")?, admin(url, "/config_dump")?);
        faults.extend(doctor::envoy::check(&info, &dump));
        faults.extend(doctor::tokens::rotations(&dump, now));
        lowers = doctor::envoy::lowers_caps(&dump);
    }
    of_cluster(kubectl, options, (&policies, lowers), now, faults)?;
    if let Some(url) = options.get("gateway") {
        let answer = Client::new(options)?.send("GET", url, "/keda/metrics", "")?;
        if answer.status != 200 {
            bail!("{url}: {} {}", answer.status, answer.body.trim());
        }
        let merged = gate::parse::json(answer.body.as_bytes()).map_err(anyhow::Error::msg)?;
        faults.extend(doctor::gateway::check(&merged, now));
    }
    Ok(())
}

/// What Envoy's admin port answers.
fn admin(url: &str, path: &str) -> Result<Value> {
    let url = format!("{}{path}", url.trim_end_matches('/'));
    let mut answer = ureq::get(&url).call().with_context(|| url.clone())?;
    // Configurations of many clusters are long.
    let text = answer.body_mut().with_config().limit(256 << 20).read_to_string()?;
    serde_json::from_str(&text).with_context(|| url)
}

fn of_cluster(
    kubectl: &Kubectl,
    options: &BTreeMap<&str, &str>,
    (policies, lowers): (&[Value], bool),
    now: Timestamp,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let modules = Modules::load(Path::new(options.get("dist").copied().unwrap_or("dist")))?;
    let server = options.get("policy-server").copied().unwrap_or("kubewarden/policy-server");
    let (namespace, account) =
        server.split_once('/').context("--policy-server: NAMESPACE/ACCOUNT")?;
    let server = format!("system:serviceaccount:{namespace}:{account}");
    let mut webhooks = kubectl.items(&["validatingwebhookconfigurations"])?;
    webhooks.extend(kubectl.items(&["mutatingwebhookconfigurations"])?);
    let mut done: Vec<(String, String)> = vec![];
    for policy in policies {
        let settings = &policy["spec"]["settings"];
        let lanes = doctor::lanes(settings);
        let name = policy["metadata"]["name"].as_str().unwrap_or_default();
        faults.extend(doctor::webhooks::check(name, &lanes, &webhooks));
        for lane in lanes {
            let key = (lane.namespace.clone(), lane.name.clone());
            if !done.contains(&key) {
                done.push(key);
                of_lane(kubectl, (&modules, policy), &server, &lane, now, faults)?;
                faults.extend(of_scaled_objects(kubectl, &lane, lowers));
            }
        }
    }
    Ok(())
}

/// What the policy looks up by name, and what is refused without.
const LOOKED_UP: [(&str, &str); 2] = [
    (
        "scaledobjects.keda.sh",
        "Apply deploy/rbac/policy-server.yaml: an HPA that KEDA makes again is refused without.",
    ),
    (
        "rollouts.argoproj.io",
        "Apply deploy/rbac/policy-server.yaml: the scale of a Rollout is refused without.",
    ),
];

fn of_lane(
    kubectl: &Kubectl,
    (modules, policy): (&Modules, &Value),
    server: &str,
    lane: &Lane,
    now: Timestamp,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let namespace = lane.namespace.as_str();
    for verb in ["get", "list"] {
        if !kubectl.may(server, verb, "configmaps", namespace)? {
            faults.push(Fault::new(
                format!("{server} may not {verb} ConfigMaps in {namespace}"),
                "Apply deploy/rbac/policy-server.yaml: every raise is refused without.",
            ));
        }
    }
    for (resource, without) in LOOKED_UP {
        // A cluster without Argo Rollouts has no Rollout to look up.
        let is_there = kubectl.get(&["customresourcedefinitions", resource]).is_ok();
        if is_there && !kubectl.may(server, "get", resource, namespace)? {
            let what = format!("{server} may not get {resource} in {namespace}");
            faults.push(Fault::new(what, without));
        }
    }
    faults.extend(doctor::state::accounts(lane));
    for (gateway, writer) in &lane.gateways {
        let own = format!("configmaps/{}", config_map_name(gateway));
        if !kubectl.may(writer, "patch", &own, namespace)? {
            faults.push(Fault::new(
                format!("{writer} may not patch {own} in {namespace}"),
                "Apply its Role, as deploy/rbac/gateway-gw-a1.yaml: its verdict is never published.",
            ));
        }
        for (other, _) in lane.gateways.iter().filter(|(other, _)| other != gateway) {
            let theirs = format!("configmaps/{}", config_map_name(other));
            if kubectl.may(writer, "patch", &theirs, namespace)? {
                faults.push(Fault::new(
                    format!("{writer} may patch {theirs}, another gateway's verdict"),
                    "Narrow its Role by resourceNames.",
                ));
            }
        }
    }
    let config_maps = kubectl.items(&["configmaps", "--namespace", namespace])?;
    faults.extend(doctor::state::known(
        &modules.policy,
        &policy["spec"]["settings"],
        lane,
        &config_maps,
        now,
    )?);
    faults.extend(doctor::state::clocks(lane, &config_maps));
    faults.extend(doctor::state::older_than(policy, lane, &config_maps));
    Ok(())
}

fn of_scaled_objects(kubectl: &Kubectl, lane: &Lane, lowers: bool) -> Vec<Fault> {
    let of = |name: &String| {
        let namespace = lane.namespace.as_str();
        match kubectl.get(&["scaledobjects.keda.sh", name, "--namespace", namespace]) {
            Ok(object) => doctor::scaled_object::check(&object, lowers),
            Err(e) => vec![Fault::new(
                format!("ScaledObject {name} of lane {}: {e:#}", lane.name),
                "The settings name it: correct them, or apply it.",
            )],
        }
    };
    lane.targets.iter().filter_map(|t| t.scaled_object.as_ref()).flat_map(of).collect()
}
