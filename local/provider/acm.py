"""ACM certificates. moto issues one without looking for the record that would prove the domain's owner."""

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:acm/certificate:Certificate")
def certificate(request: ResourceRequest) -> Created:
    domain = request["domainName"]
    arn = request.call(
        "acm", "request_certificate",
        DomainName=domain, ValidationMethod=request.get("validationMethod"),
        SubjectAlternativeNames=request.get("subjectAlternativeNames"),
        KeyAlgorithm=request.get("keyAlgorithm"),
        Tags=request.tag_list(),
    )["CertificateArn"]  # fmt: skip
    described = request.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    options = [
        {
            "domainName": option["DomainName"],
            "resourceRecordName": option["ResourceRecord"]["Name"],
            "resourceRecordType": option["ResourceRecord"]["Type"],
            "resourceRecordValue": option["ResourceRecord"]["Value"],
        }
        for option in described["DomainValidationOptions"]
        if "ResourceRecord" in option
    ]
    return Created(arn, {"arn": arn, "domainValidationOptions": options, "status": described["Status"]})


@resource("aws:acm/certificateValidation:CertificateValidation")
def certificate_validation(request: ResourceRequest) -> Created:
    arn = request["certificateArn"]
    request.call("acm", "describe_certificate", CertificateArn=arn)
    return Created(arn)
