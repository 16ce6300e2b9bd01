terraform {
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

module "pd" {
  source = "../../modules/dynamo-pd"

  name    = "drift-ci"
  cloud   = "local"
  model   = "disagg/tiny"
  engine  = "mocker"
  prefill = { replicas = 1 }
  decode  = { replicas = 1 }
}

output "url" {
  value = module.pd.url
}
