// Command conditions says which webhooks the API server would ask about a request.
//
// It reads JSON values: first the list of policies, each with the rules and the match
// conditions of its webhook, then admission requests. For each request it prints one line
// with what becomes of each policy. Rules and conditions are decided by the API server's
// own packages, so that nothing here has an opinion.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Policy is what a ClusterAdmissionPolicy of Kubewarden makes a webhook of.
type Policy struct {
	Name            string                  `json:"name"`
	Rules           []v1.RuleWithOperations `json:"rules"`
	MatchConditions []v1.MatchCondition     `json:"matchConditions"`
}

// Answer is what becomes of a request at one policy.
type Answer struct {
	Policy string `json:"policy"`
	// Asked is whether the webhook is called.
	Asked bool `json:"asked"`
	// Condition is the one that leaves the request out; empty where no rule matches.
	Condition string `json:"condition,omitempty"`
	// Error is that of a condition. Under `failurePolicy: Fail` it refuses the request.
	Error string `json:"error,omitempty"`
}

type compiled struct {
	Policy
	matcher matchconditions.Matcher
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("conditions: ")
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()

	var policies []Policy
	if err := in.Decode(&policies); err != nil {
		log.Fatalf("the list of policies: %v", err)
	}
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	matchers := make([]compiled, 0, len(policies))
	for _, p := range policies {
		m, err := compile(compiler, p)
		if err != nil {
			log.Fatal(err)
		}
		matchers = append(matchers, compiled{p, m})
	}
	for n := 1; ; n++ {
		var request admissionv1.AdmissionRequest
		err := in.Decode(&request)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatalf("request %d: %v", n, err)
		}
		attributes, err := attributesOf(&request)
		if err != nil {
			log.Fatalf("request %d: %v", n, err)
		}
		answers := make([]Answer, 0, len(matchers))
		for _, m := range matchers {
			answers = append(answers, m.answer(attributes))
		}
		line, err := json.Marshal(answers)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(out, "%s\n", line)
	}
}

func compile(compiler cel.ConditionCompiler, p Policy) (matchconditions.Matcher, error) {
	accessors := make([]cel.ExpressionAccessor, 0, len(p.MatchConditions))
	for i := range p.MatchConditions {
		condition := matchconditions.MatchCondition(p.MatchConditions[i])
		accessors = append(accessors, &condition)
	}
	evaluator := compiler.CompileCondition(accessors,
		cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
	if errs := evaluator.CompilationErrors(); len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", p.Name, errors.Join(errs...))
	}
	fail := v1.Fail
	return matchconditions.NewMatcher(evaluator, &fail, "webhook", "validating", p.Name), nil
}

func (c compiled) answer(attributes *admission.VersionedAttributes) Answer {
	answer := Answer{Policy: c.Name}
	matches := false
	for _, rule := range c.Rules {
		matcher := rules.Matcher{Rule: rule, Attr: attributes.Attributes}
		matches = matches || matcher.Matches()
	}
	if !matches {
		return answer
	}
	result := c.matcher.Match(context.Background(), attributes, nil, nil)
	if result.Error != nil {
		answer.Error = result.Error.Error()
	}
	answer.Asked = result.Matches
	answer.Condition = result.FailedConditionName
	return answer
}

func attributesOf(r *admissionv1.AdmissionRequest) (*admission.VersionedAttributes, error) {
	object, err := objectOf(r.Object)
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	old, err := objectOf(r.OldObject)
	if err != nil {
		return nil, fmt.Errorf("oldObject: %w", err)
	}
	kind := schema.GroupVersionKind{Group: r.Kind.Group, Version: r.Kind.Version, Kind: r.Kind.Kind}
	resource := schema.GroupVersionResource{
		Group: r.Resource.Group, Version: r.Resource.Version, Resource: r.Resource.Resource,
	}
	who := &user.DefaultInfo{Name: r.UserInfo.Username, UID: r.UserInfo.UID, Groups: r.UserInfo.Groups}
	attributes := admission.NewAttributesRecord(object, old, kind, r.Namespace, r.Name, resource,
		r.SubResource, admission.Operation(r.Operation), nil, r.DryRun != nil && *r.DryRun, who)
	return &admission.VersionedAttributes{
		Attributes: attributes, VersionedObject: object, VersionedOldObject: old, VersionedKind: kind,
	}, nil
}

func objectOf(raw runtime.RawExtension) (runtime.Object, error) {
	if len(raw.Raw) == 0 || string(raw.Raw) == "null" {
		return nil, nil
	}
	var content map[string]any
	if err := utiljson.Unmarshal(raw.Raw, &content); err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}
