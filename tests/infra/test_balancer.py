"""The balancer: HTTPS with a certificate of its own where there is a domain, said plainly where not."""

from tests.infra.graph import StackGraph, stack_graph


def test_with_a_domain_http_redirects_and_https_forwards(production: StackGraph) -> None:
    http, https = production.one("Listener", "balancer-http"), production.one("Listener", "balancer-https")
    assert (http.get("port"), http.get("protocol")) == (80, "HTTP")
    assert http.get("defaultActions") == [
        {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
    ]
    assert (https.get("port"), https.get("protocol")) == (443, "HTTPS")
    assert https.get("sslPolicy") == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    assert https.get("defaultActions") == [
        {"type": "forward", "targetGroupArn": production.one("TargetGroup").get("arn")}
    ]
    assert production.outputs["base_url"] == "https://gateway.example.com/v1"
    assert production.warnings == []


def test_without_a_domain_it_forwards_plain_http_and_warns(staging: StackGraph) -> None:
    listener = staging.one("Listener")
    assert (listener.get("port"), listener.get("protocol")) == (80, "HTTP")
    assert listener.get("defaultActions", 0, "type") == "forward"
    assert staging.all("Certificate") == staging.all("Record") == []
    assert staging.outputs["base_url"].startswith("http://balancer-")
    [warning] = staging.warnings
    assert "plain HTTP" in warning
    assert "pulumi config set domain_name" in warning


def test_staging_with_a_domain_serves_https_too() -> None:
    graph = stack_graph("staging", domain_name="try.example.com", hosted_zone_name="example.com")
    assert graph.outputs["base_url"] == "https://try.example.com/v1"
    assert len(graph.all("Listener")) == 2


def test_the_certificate_is_proven_in_the_zone_before_it_is_used(production: StackGraph) -> None:
    proof = production.one("Record", "domain-validation")
    assert (proof.get("zoneId"), proof.get("type")) == ("ZDOMAIN", "CNAME")
    assert (proof.get("name"), proof.get("records")) == ("_x.proof", ["_y.acm"])
    validation = production.one("CertificateValidation")
    assert validation.get("validationRecordFqdns") == [proof.get("fqdn")]
    assert validation.urn in production.one("Listener", "balancer-https").depends_on
    [(_, arguments, _)] = [i for i in production.invokes if i[0].endswith("getZone")]
    assert arguments == {"name": "example.com", "privateZone": False}


def test_the_name_leads_to_the_balancer(production: StackGraph) -> None:
    alias = production.one("Record", "balancer-alias")
    balancer = production.one("LoadBalancer")
    assert (alias.get("name"), alias.get("type")) == ("gateway.example.com", "A")
    assert alias.get("aliases") == [
        {"name": balancer.get("dnsName"), "zoneId": balancer.get("zoneId"), "evaluateTargetHealth": True}
    ]


def test_one_setting_derives_every_timeout(either: StackGraph) -> None:
    assert either.one("LoadBalancer").get("idleTimeout") == 310
    assert either.one("TargetGroup").get("deregistrationDelay") == 300
    longer = stack_graph("staging", longest_stream_s="900")
    assert longer.one("LoadBalancer").get("idleTimeout") == 910
    assert longer.one("TargetGroup").get("deregistrationDelay") == 900


def test_targets_are_checked_and_chosen_by_what_they_have_to_do(either: StackGraph) -> None:
    targets = either.one("TargetGroup")
    assert (targets.get("targetType"), targets.get("protocol"), targets.get("port")) == ("ip", "HTTP", 8080)
    assert targets.get("loadBalancingAlgorithmType") == "least_outstanding_requests"
    assert targets.get("healthCheck", "path") == "/healthz"
    assert targets.get("healthCheck", "matcher") == "200"


def test_the_balancer_stands_in_public_subnets_and_drops_broken_headers(either: StackGraph) -> None:
    balancer = either.one("LoadBalancer")
    assert {either.by_id(i).get("tags", "tier") for i in balancer.get("subnets")} == {"public"}
    assert balancer.get("dropInvalidHeaderFields") is True
    assert balancer.get("internal") is False
