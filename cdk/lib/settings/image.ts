/** Where an image lies, as its address in ECR says; undefined for other registries. */
export function ecrAddress(
  image: string,
): { readonly account: string; readonly region: string; readonly repository: string } | undefined {
  const [, account, region, repository] =
    /^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.(?:com|com\.cn|eu)\/([^:@]+)/.exec(image) ?? [];
  return account !== undefined && region !== undefined && repository !== undefined
    ? { account, region, repository }
    : undefined;
}
