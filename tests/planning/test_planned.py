"""Settings and plan are judged as one: every problem of both at once, each with its line, and by the offers that are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from components.kubernetes.serving import SERVING
from model_factory.facts.catalogue import catalogue
from model_factory.facts.offer import Offer
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.plan import Plan
from model_factory.planning.planned import planned
from model_factory.planning.settings.load import Reading, read_config, read_files
from model_factory.planning.settings.problems import Problem, SettingsError
from model_factory.planning.settings.stackfile import read_project_file, read_stack_file
from tests.planning.project import STACK, Edit, Project, put

OFFERS = catalogue().offers
LLM = "model-factory:models/llm"


def reading_of(project: Project, *edits: Edit) -> Reading:
    project.write(*edits)
    return read_files(read_stack_file(project.stack_file), read_project_file(project.project_file), SERVING)


def refused(reading: Reading, offers: Iterable[Offer] = OFFERS) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as error:
        planned(reading, Market.of(offers))
    return error.value.problems


class TestTheOffersGiven:
    def test_decide_and_no_others(self, project: Project) -> None:
        """A machine of tomorrow: nothing in the tables has its memory, its accelerator or its name."""
        tomorrow = replace(
            next(offer for offer in OFFERS if offer.region == "us-east-1" and offer.accelerator_count),
            machine_type="z9.24xlarge",
            accelerator="z900",
            usable_gib_per_accelerator=Decimal(5000),
            vcpus=96,
            memory_gib=Decimal(1000),
        )
        reading = reading_of(
            project,
            put(f"{LLM}/gpuMemoryGib", 4000),
            put(f"{LLM}/accelerators", ["z900"]),
            put(f"{LLM}/machineTypes", ["z9.24xlarge"]),
        )
        assert [each.key for each in refused(reading)] == [
            "model-factory:models.llm.accelerators[0]",
            "model-factory:models.llm.machineTypes[0]",
        ]
        made: Plan = planned(reading, Market.of([*OFFERS, tomorrow]))[1]
        assert made.placements[0].first.offer == tomorrow


class TestProblems:
    def test_of_settings_and_of_placing_are_told_together_with_their_lines(self, project: Project) -> None:
        reading = reading_of(
            project,
            put("model-factory:aws/systemMachineType", "g6.xlarge"),
            put("model-factory:labels", {"Team": "x"}),
            put(f"{LLM}/gpuMemoryGib", 2000),
            put("model-factory:models/resnet/cpu", "two"),
        )
        told = {each.key: each for each in refused(reading)}
        assert set(told) == {
            "model-factory:aws.systemMachineType",
            "model-factory:labels.Team",
            "model-factory:models.llm.gpuMemoryGib",
            "model-factory:models.resnet.cpu",
        }
        assert all(each.file == "Pulumi.dev.yaml" for each in told.values())
        assert told["model-factory:models.llm.gpuMemoryGib"].line == project.line_of("gpuMemoryGib: 2000")

    def test_a_model_is_not_placed_by_a_stand_in(self, project: Project) -> None:
        """Its memory is refused, so whether it fits is not known."""
        reading = reading_of(project, put(f"{LLM}/memoryGib", "16GB"), put(f"{LLM}/machineTypes", ["g4dn.xlarge"]))
        assert reading.undecided == {"llm"}
        assert [each.key for each in refused(reading)] == ["model-factory:models.llm.memoryGib"]

    def test_a_credential_among_machine_types_is_not_shown(self, project: Project) -> None:
        reading = reading_of(project, put(f"{LLM}/machineTypes", ["AKIAIOSFODNN7EXAMPLE"]))
        (problem,) = refused(reading)
        assert "plain text" in problem.message
        assert "AKIA" not in problem.message

    def test_settings_alone_are_given_only_when_they_are_valid(self) -> None:
        with pytest.raises(SettingsError):
            read_config({**STACK["config"], "model-factory:environment": "x"}, SERVING).settings()
        assert read_config(STACK["config"], SERVING).settings().environment == "dev"
