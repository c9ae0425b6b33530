"""The image that tasks run: built from app/ and pushed by digest, or a digest that was given."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

PLATFORM = docker_build.Platform.LINUX_AMD64


@dataclass(frozen=True)
class ImageArgs:
    """digest: of an image in the repository; None builds app/Dockerfile from the repository's root."""

    repository_url: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    digest: str | None


class Image(pulumi.ComponentResource):
    """An image reference by digest (`repository@sha256:…`), which no moved tag can change."""

    uri: pulumi.Output[str]

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Image", name, None, opts)
        digest: pulumi.Input[str] = args.digest if args.digest is not None else self._build(name, args)
        self.uri = pulumi.Output.concat(args.repository_url, "@", digest)
        self.register_outputs({"uri": self.uri})

    def _build(self, name: str, args: ImageArgs) -> pulumi.Output[str]:
        token = aws.ecr.get_authorization_token_output(
            registry_id=args.registry_id, opts=pulumi.InvokeOptions(parent=self)
        )
        image = docker_build.Image(
            name,
            # Relative to the program's folder: an absolute path would differ from machine to machine.
            context={"location": "."},
            dockerfile={"location": "app/Dockerfile"},
            platforms=[PLATFORM],
            build_on_preview=False,
            push=False,
            # A tag could not be pushed twice (they are immutable); the export below pushes without one.
            exports=[{"image": {"names": [args.repository_url], "push": True, "push_by_digest": True}}],
            registries=[
                {
                    "address": args.repository_url,
                    "username": token.user_name,
                    "password": pulumi.Output.secret(token.password),
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return image.digest
