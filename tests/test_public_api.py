"""The public API in one place: whoever changes it changes a table here, in plain view."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from typing import Any

import numpy as np
import pytest

import ntk_aug

# What `from ntk_aug.<sub-package> import ...` gives: its whole __all__, in ranked order. Another
# name is a decision: most belong to their module, from where other packages import them.
PUBLIC = {
    "augment": """
        build_augmentation describe_augmentation AUGMENTATIONS augment_batch example_key
        leaves_unit_range weak_augmentation Policy parse_table PolicyAugmentation POLICIES
        randaugment AugMixAugmentation WuAugmentation augment_by_loss MAGNITUDES OPERATIONS
        random_operation mix_batch random_mixup random_cutmix random_rotate
        random_flip_horizontal random_crop_padded random_gaussian_blur random_color_jitter
        random_gaussian_noise random_noise_in_ball to_pixels from_pixels
    """,
    "coreset": """
        select SELECTORS Subset network_examples Examples PROXIES facility_location
        facility_location_per_class ALGORITHMS herd k_center_greedy match_gradients
        gradient_error random_gradient_errors mean_one_weights class_budgets
        last_layer_logit_gradients last_layer_weight_gradients GradientFactors
    """,
    "data": """
        load_dataset DATASETS Dataset load_images_file load_tfds unit_range normalize
        draw_examples select_classes long_tailed corrupt_labels
    """,
    "jacobian": """
        JacobianRows JacobianOperator ROWS row_norms projected_rows LastLayer flipped_masks
    """,
    "models": """
        ModelView as_view linen_view nnx_view Network linen_network nnx_network pure_network
        load_weights build_network MODELS MLP CifarResNet
    """,
    "ntk": """
        empirical_kernel kernel_triples KernelTriple kernel_diagonal parameter_kernels
        kernel_regression linearized_predictions linearized_view infinite_width_kernels
        stax_mlp stax_cnn width_convergence neural_tangents_kernel
        compare_with_neural_tangents load_neural_tangents
    """,
    "spectrum": """
        study_spectrum summarize_study SpectrumStudy BACKENDS estimate_cost
        appended_spectrum label_alignment kernel_alignment factors_of_kernel
        principal_angles random_subspace_angle largest_singular_triplets
        smallest_singular_triplets smallest_of_kernel estimate_moments estimate_entropy_rank
    """,
    "theory": """
        Assignment Assumption AssumptionError AugmentedExamples Bound Constructed
        CoresetSpectra DEFAULT_INSTANCES Dynamics Expansion MeasuredGains MeasuredNetwork
        Moments NETWORK_STATEMENTS STATEMENTS STATUSES ShiftMoments Shifts Sides Statement
        StatementReport Tally TanhMLP WeightedLeastSquares arora_kernel assign
        check_statement chosen_statements claim_c_2 coreset_spectra corollary_b_5
        draw_shifts equation_18 equation_19 equation_44 fact_1 fact_2 fact_3 fact_4 fact_5
        fact_6 lemma_4_1 lemma_5_1 lemma_5_1_gradients lemma_b_3 lemma_b_4 main_term
        measure_network measure_perturbed measure_shifts network_dynamics network_sides
        random_instances second_order shift_moments theorem_5_2 theorem_b_1
        theorem_b_1_deterministic theorem_b_2 theorem_b_6
    """,
    "training": """
        train TrainingConfig MethodConfig TrainedNetwork evaluate RunFolder
        load_trained_model train_named_model
    """,
}

# What is public in its module, though no package exports it: other packages and programs import it
# from there. The rules below hold for it, too.
IN_MODULES = {
    "augment.batches.candidates": "select_candidates",
    "augment.batches.mixing": "MixDraw cutmix draw_cutmix draw_mixup mixup",
    "augment.floats.blur": "gaussian_blur",
    "augment.floats.cropping": "crop crop_padded draw_crop_offset pad random_crop",
    "augment.floats.geometry": "flip_horizontal rotate",
    "augment.floats.noise": "apply_linear_map random_noise_on_sphere",
    "augment.pixels.color_jitter": "color_jitter",
    "augment.pixels.dispatch": "use_dispatch",
    "augment.pixels.operations": "Operation apply_operation operation_parameters place_operation",
    "augment.pixels.resizing": (
        "crop_and_resize draw_resized_crop random_resized_crop resize resize_short_side"
    ),
    "augment.policies.augmentation": "AugMixDraw",
    "augment.policies.magnitudes": "Magnitudes augmix_magnitudes magnitude_of",
    "augment.policies.policy": "Step wu_policy",
    "augment.policies.sampling": "Plan PolicyDraw apply_policy describe_draw draw_policy",
    "augment.policies.wu": "CandidateDraw ChainDraw StageDraw WuDraw mixup_truncated",
    "augment.registry": "AugmentationEntry",
    "augment.value_range": "may_leave_unit_range",
    "augment.weak": "random_part random_shift random_window random_zoom",
    "coreset.baselines": "largest_scores random_subset",
    "coreset.budgets": "budget_of",
    "coreset.facility.on_device": "device_bytes facility_location_on_device",
    "coreset.gradient_errors": "error_estimate",
    "coreset.network_gradients": "ExamplesProgram",
    "coreset.overlaps": "expected_top_overlap overlap top_probabilities",
    "coreset.selection": "selection_budgets",
    "coreset.selectors": "Selector SelectorEntry find_selector",
    "data.digits": "load_digits",
    "data.registry": "DatasetEntry",
    "checks": "check_mesh",
    "jacobian.last_layer": "LayerGradients",
    "jacobian.masks": "FlippedMasks",
    "jacobian.outputs": "output_function",
    "jacobian.routes": "SlowRowsWarning",
    "jacobian.row_factors": "RowFactors",
    "jacobian.sharded": "ShardedRows",
    "models.evaluation": "StreamedProgram logits_program",
    "models.independence": "check_examples_independent",
    "models.mlp": "tanh_mlp_jacobian_lipschitz",
    "models.network": "num_params",
    "models.outputs": "check_logits count_outputs network_takes",
    "models.registry": "ModelEntry as_network",
    "ntk.dynamics": "LinearizedPredictions",
    "ntk.infinite_width": "InfiniteWidthKernels WidthDistance",
    "ntk.neural_tangents.agreement": "KernelAgreement",
    "ntk.neural_tangents.kernels": (
        "NeuralTangentsEstimate estimate_neural_tangents neural_tangents_triples"
    ),
    "ntk.products": "factor_products row_products",
    "ntk.regression": "KernelRegression",
    "ntk.row_store": "gib_rounded_up images_per_tile",
    "spectrum.accuracy": "RowsRounding rows_rounding uncertain_values value_errors",
    "spectrum.alignment": "LabelAlignment",
    "spectrum.appended": "appended_kernel",
    "spectrum.augmented_versions": "AugmentedVersions",
    "spectrum.bins": (
        "BinComparison bin_means boundary_gaps compare_bins equal_count_bins null_bins tied_bins"
    ),
    "spectrum.cost": "StudyCost",
    "spectrum.decomposition": (
        "Factors SpectrumPair null_tolerance pair_from_jacobians pair_from_kernels"
    ),
    "spectrum.matrix_free.stochastic": "EntropyRank Estimate KernelMoments",
    "spectrum.matrix_free.triplets": "SingularTriplets SmallestFactors",
    "spectrum.result": "StudySettings",
    "spectrum.subspaces": "angles_from_overlaps",
    "spectrum.summary": "AugmentationSummary MeanAndSpread",
    "training.checkpoint": "Checkpoint checkpoint_epochs restore_checkpoint save_checkpoint",
    "training.cost": "estimate_training_seconds",
    "training.epoch": "EpochProgram EpochResult Rows Sources",
    "training.evaluation": "Evaluation EvaluationProgram",
    "training.history": "EpochRecord summarize_history",
    "training.initial": "initial_state zero_examples",
    "training.optimizer": "build_optimizer learning_rate_schedule learning_rates",
    "training.plan": "BatchSizes EpochPlan batch_sizes plan_epoch steps_per_epoch",
    "training.pretrained": "PretrainedNetwork network_fingerprint",
    "training.run_folder": "recorded_example run_configuration",
    "training.step": "Keys MetricSums TrainState training_step",
    "training.versions": "augmentation_for",
}

# Modules beside the sub-packages; all that they define without an underscore is public.
MODULES = (
    *("aliases", "checks", "compiler", "errors", "imports", "inputs", "losses", "options"),
    *("precision", "programs", "progress", "randomness", "records", "threads"),
)

# Arguments that have a default and may yet be given by position, each for a reason:
POSITIONAL_WITH_DEFAULT = {
    "compiler.compiler_fault": ["xla_flags"],
    "inputs.check_inputs": ["what"],
    # what the message calls the value, after the value
    "checks.check_images": ["what"],
    "checks.check_params": ["what"],
    # labels are data, like the images before them; only one kind of rows needs them
    "jacobian.JacobianOperator.__init__": ["labels"],
    "jacobian.JacobianRows.__call__": ["labels"],
    "jacobian.JacobianRows.blocks": ["labels"],
    "jacobian.ShardedRows.__call__": ["labels"],
    "jacobian.JacobianRows.reduced_blocks": ["labels"],
    "jacobian.JacobianRows.square_blocks": ["labels"],
    "jacobian.JacobianRows.factors": ["labels"],
    "jacobian.projected_rows": ["labels"],
    "jacobian.row_norms": ["labels"],
    "ntk.compare_with_neural_tangents": ["labels"],
    "spectrum.appended_spectrum": ["labels"],
    "spectrum.estimate_cost": ["labels"],
    "spectrum.rows_rounding": ["labels"],
    "ntk.estimate_neural_tangents": ["labels"],
    "ntk.kernel_triples": ["labels"],
    "ntk.kernel_diagonal": ["labels"],
    "ntk.neural_tangents_kernel": ["labels"],
    "ntk.parameter_kernels": ["labels"],
    # what says how, after the key and the examples
    "coreset.select": ["selector"],
    "coreset.selection_budgets": ["selector"],
    # two sets of images, as K(X, X') names them
    "ntk.empirical_kernel": ["others"],
    "ntk.infinite_width_kernels": ["others"],
    "ntk.neural_tangents_triples": ["labels"],
    # a single option, whose meaning the function's name gives
    "progress.progress_bars": ["prefix"],
    # the last of the numbers that are folded into a key, in their order
    "augment.example_key": ["draw"],
    # as the modules of Flax's own examples are called
    "models.CifarResNet.__call__": ["train"],
    # a second function beside the first
    "models.linen_network": ["jacobian_lipschitz"],
    # a single option, whose meaning the function's name gives
    "spectrum.angles_from_overlaps": ["floor"],
    "spectrum.equal_count_bins": ["num_bins"],
    # the settings of a run, after its data: plain training has none of the method
    "training.run_configuration": ["method"],
}

# Functions whose key is not the first argument: the function that they map over comes before it,
# as in `jax.vmap(f)(key, x)` or `map(f, x)`.
KEY_AFTER_A_FUNCTION = [
    "augment.augment_batch",
    "augment.augment_by_loss",
    "augment.mix_batch",
    "spectrum.AugmentedVersions.__init__",
]


def is_record(cls):
    """Whether a class's constructor is made from its fields (a Linen module is a dataclass too)."""
    return dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")


def public_objects():
    """From the name of each public function, class and method (as in `PUBLIC`) to itself."""
    modules = {part: importlib.import_module(f"ntk_aug.{part}") for part in (*PUBLIC, *MODULES)}
    named = [
        (part, name, getattr(module, name))
        for part, module in modules.items()
        for name in getattr(module, "__all__", None) or vars(module)
    ]
    for place, names in IN_MODULES.items():
        module = importlib.import_module(f"ntk_aug.{place}")
        named += [(place.partition(".")[0], name, getattr(module, name)) for name in names.split()]
    objects = {}
    for part, name, value in named:
        is_own = getattr(value, "__module__", "").startswith(f"ntk_aug.{part}")
        if not name.startswith("_") and is_own and (inspect.isroutine(value) or _is_class(value)):
            objects[f"{part}.{name}"] = value
            if _is_class(value):
                objects |= _public_methods(f"{part}.{name}", value)
    return objects


def _is_class(value):
    return inspect.isclass(value) and not hasattr(value, "__origin__")


def _public_methods(prefix, cls):
    methods = {}
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)  # of a class method or static method
        own = inspect.isfunction(function) or isinstance(value, property)
        if own and (not name.startswith("_") or name in {"__init__", "__call__"}):
            methods[f"{prefix}.{name}"] = value if isinstance(value, property) else function
    if is_record(cls):
        methods.pop(f"{prefix}.__init__", None)
    return methods


OBJECTS = public_objects()
FUNCTIONS = {name: value for name, value in OBJECTS.items() if inspect.isfunction(value)}


def arguments(function):
    """All arguments but self and cls."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.name not in ("self", "cls")]


def test_every_part_of_the_library_is_listed():
    found = {(module.name, module.ispkg) for module in pkgutil.iter_modules(ntk_aug.__path__)}
    assert found == {(name, True) for name in PUBLIC} | {(name, False) for name in MODULES}


@pytest.mark.parametrize("part", PUBLIC)
def test_exports_are_those_of_the_table(part):
    module = importlib.import_module(f"ntk_aug.{part}")
    expected = PUBLIC[part].split()
    assert (sorted(module.__all__) if part == "theory" else module.__all__) == expected
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("part", PUBLIC)
def test_a_sub_package_exports_all_that_it_imports(part):
    module = importlib.import_module(f"ntk_aug.{part}")
    names = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert names == set(module.__all__)


def test_a_user_meets_about_a_hundred_names():
    assert sum(len(names.split()) for part, names in PUBLIC.items() if part != "theory") <= 120


def test_what_is_inspected_is_not_empty():
    assert len(FUNCTIONS) > 60
    expected = ["augment.rotate", "jacobian.JacobianRows.__init__", "data.Dataset.take"]
    assert set(expected) < set(FUNCTIONS)
    assert {"errors.InputError", "data.Dataset.num_classes"} < set(OBJECTS)


def test_everything_public_has_a_docstring_of_its_own():
    for name, value in OBJECTS.items():
        first_line = (value.__doc__ or "").strip().split("\n")[0]
        assert first_line.endswith((".", ":")), f"{name}: {first_line!r}"
        # Records without a docstring get one that only repeats their fields.
        assert not first_line.startswith(f"{name.rpartition('.')[2]}("), name


def test_a_key_comes_first():
    names = {name: [argument.name for argument in arguments(f)] for name, f in FUNCTIONS.items()}
    assert not [name for name, own in names.items() if {"rng", "prng", "random_key"} & set(own)]
    assert [name for name, own in names.items() if "key" in own[1:]] == KEY_AFTER_A_FUNCTION
    assert all(names[name][1] == "key" for name in KEY_AFTER_A_FUNCTION)
    assert "augment.random_rotate" in [name for name, own in names.items() if own[:1] == ["key"]]


def test_an_integer_is_a_seed_wherever_a_key_is_taken():
    taken = {
        (name, argument.name): argument.annotation
        for name, function in FUNCTIONS.items()
        for argument in arguments(function)
        if argument.name == "key" or argument.name.endswith("_key")
    }
    assert taken.pop(("randomness.as_key", "key")) is Any
    assert len(taken) > 50
    seeds = {int, np.integer}
    assert [name for name, own in taken.items() if not seeds < set(typing.get_args(own))] == []


def test_options_are_keyword_only_but_for_the_agreed_list():
    positional = {
        name: [
            argument.name
            for argument in arguments(function)
            if argument.default is not argument.empty and argument.kind != argument.KEYWORD_ONLY
        ]
        for name, function in FUNCTIONS.items()
    }
    assert {name: names for name, names in positional.items() if names} == POSITIONAL_WITH_DEFAULT


def test_every_argument_and_result_has_a_type():
    # A Linen module's call says its shapes in words: its images may be traced in any form.
    for name in set(FUNCTIONS) - {"models.MLP.__call__", "models.CifarResNet.__call__"}:
        signature = inspect.signature(FUNCTIONS[name])
        for argument in arguments(FUNCTIONS[name]):
            assert argument.annotation is not argument.empty, f"{name}: {argument.name}"
        assert signature.return_annotation is not signature.empty or name.endswith("__init__"), name
