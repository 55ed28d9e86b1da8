//! `harness`: rehearse a rollout, or ask the policy about one request.

mod admit;
mod canary;
mod check_settings;
mod client;
mod doctor;
mod probe;
mod run;
#[cfg(feature = "serve")]
mod serve;

use std::process::ExitCode;

const USAGE: &str = "\
usage:
  harness run [--dist DIR] [--format table|json|junit] SCENARIO...
      Runs scenarios through both wasm modules in virtual time.
      Exit 1 when an expectation fails, 2 when a run could not be finished.
  harness admit [--policy FILE] --settings FILE [--state FILE] [--now TIME] REQUEST
      Asks the policy about one AdmissionReview (YAML or JSON).
      Exit 0 accepted, 1 rejected, 2 error. --state is a v1 List of objects.
  harness check-settings [--dist DIR] FILE...
      Whether the modules take the settings in each file: a ClusterAdmissionPolicy, an Envoy
      configuration, a WasmPlugin, an EnvoyExtensionPolicy, or settings alone.
      Exit 0 when all are valid, 1 when one is not, 2 error.
  harness canary ACTION --gateway URL... [--token-file FILE] [--ca FILE] [--KEY VALUE...]
      Sends begin, weight, maintenance, abort, end, sleep or wake to every gateway of
      a lane, again until it has it, and says which have. Keys: weight, az,
      gateway-version, skill-hash, stable-skill-hash, stable-replicas, maintenance.
      Exit 0 when all have it, 1 when one has not, 2 error.
  harness doctor [--kubectl PROGRAM] [--kubeconfig FILE] [--policy-server NAMESPACE/ACCOUNT]
                 [--admin URL] [--kube-token FILE] [--gateway URL --token-file FILE [--ca FILE]]
                 [--dist DIR]
      What is wrong with an installation, one line a fault with its remedy. The cluster is
      asked by kubectl, Envoy by its admin port, a gateway by its document; FILE of
      --kube-token is what kube-token.sh wrote. Exit 0 when nothing is, 1 faults, 2 error.
  harness probe [--token-file FILE] [--ca FILE] URL
      The bastion's look at a gateway. Exit 0 healthy, 1 not, 2 no answer.
  harness serve [--policy FILE] [--listen ADDRESS:PORT] [--certificates DIR]
                [--kubeconfig FILE] [--instances N] CLUSTER-ADMISSION-POLICY...
      An HTTPS AdmissionReview webhook around the policy, /validate/NAME for each
      ClusterAdmissionPolicy, with its settings, granted resources and time-out. For a
      development cluster; production uses Kubewarden's policy-server. Certificates are
      made where DIR has none.
  Tokens are read from --token-file or CANARY_GATE_TOKEN, never from an argument.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((command, rest)) if command == "run" => run::main(rest),
        Some((command, rest)) if command == "admit" => admit::main(rest),
        Some((command, rest)) if command == "check-settings" => check_settings::main(rest),
        Some((command, rest)) if command == "canary" => canary::main(rest),
        Some((command, rest)) if command == "doctor" => doctor::main(rest),
        Some((command, rest)) if command == "probe" => probe::main(rest),
        #[cfg(feature = "serve")]
        Some((command, rest)) if command == "serve" => serve::main(rest),
        #[cfg(not(feature = "serve"))]
        Some((command, _)) if command == "serve" => {
            Err(anyhow::anyhow!("built without it: cargo build -p harness --features serve"))
        }
        Some((command, _)) if command == "--help" || command == "help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        Err(e) => {
            eprintln!("harness: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// Takes `--name VALUE` options off the front of the arguments.
fn options<'a>(
    args: &'a [String],
    known: &[&str],
) -> anyhow::Result<(std::collections::BTreeMap<&'a str, &'a str>, Vec<&'a str>)> {
    let mut options = std::collections::BTreeMap::new();
    let mut rest = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--") {
            Some(name) if known.contains(&name) => {
                let value = args.next().ok_or_else(|| anyhow::anyhow!("--{name} needs a value"))?;
                options.insert(name, value.as_str());
            }
            Some(name) => {
                anyhow::bail!("unknown option --{name}, known are: --{}", known.join(", --"))
            }
            None => rest.push(arg.as_str()),
        }
    }
    Ok((options, rest))
}
