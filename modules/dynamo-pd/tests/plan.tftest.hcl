# What a plan shows before anything is bought.

variables {
  name  = "tiny"
  cloud = "local"
  model = "disagg/tiny"
}

run "costs_and_types_are_in_the_first_plan" {
  command = plan

  variables {
    engine  = "mocker"
    prefill = { replicas = 2, gpu = "H200:8" }
    decode  = { scaling = { min = 1, max = 3, target = 2 }, gpu = "H200" }
  }

  assert {
    condition     = output.instance_types == { prefill = "h200-8", decode = "h200-1" }
    error_message = "The instance types are not known."
  }
  assert {
    condition     = output.minimum_hourly_cost == 0 && output.maximum_hourly_cost == 0
    error_message = "The local cloud costs nothing."
  }
}
